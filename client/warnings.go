package client

import (
	"time"

	"massive-passive/wire/certs"
)

// logEnding warns of certificates in use that end soon.
func (c *Client) logEnding(now time.Time) {
	for _, cert := range c.certs.Certificates() {
		if why := cert.Ending(now); why != "" {
			c.log.Warn().Str("why", why).Time("until", cert.Ends).Msg("a certificate ends")
		}
	}
}

// logLoose warns of what others can do to this client by way of its files:
// whoever may write check files runs programs as its user.
func (c *Client) logLoose() {
	o := &c.options
	problems := []string{certs.LooseKey(o.SSLKey)}
	for _, dir := range o.ConfDirs {
		problems = append(problems, certs.LooseFiles(dir, ".cfg")...)
	}
	for _, file := range append([]string{o.SSLCACert, o.SSLCert}, o.ConfDirs...) {
		problems = append(problems, certs.LooseFile(file))
	}
	logged := map[string]bool{"": true}
	for _, p := range problems {
		if !logged[p] {
			logged[p] = true
			c.log.Warn().Str("why", p).Msg("this client's files are not safe")
		}
	}
}
