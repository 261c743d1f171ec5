package server

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"massive-passive/server/access"
	"massive-passive/wire/certs"
)

// logEnding warns of certificates that end soon. Of a client with several
// only the one counts that lasts longest: the others were renewed.
func (s *Server) logEnding(now time.Time) {
	list := s.certs.Certificates()
	last := map[string]time.Time{}
	s.access.Certificates(func(client string, c access.Certificate) {
		if c.Ends.After(last[client]) {
			last[client] = c.Ends
		}
	})
	for client, ends := range last {
		list = append(list, certs.Named{Name: fmt.Sprintf("the certificate of client %q", client),
			Mend: fmt.Sprintf("renew it, as with `massive-passive pki renew %s`, and put it beside the old one", client), Ends: ends})
	}
	for _, c := range list {
		if why := c.Ending(now); why != "" {
			s.log.Warn().Str("why", why).Time("until", c.Ends).Msg("a certificate ends")
		}
	}
	for _, authority := range s.certs.Revoked.Unlisted() {
		s.log.Warn().Str("file", s.options.SSLCRL).Str("ca", authority).Msg("a CA is trusted of which there is no revocation list: none of its certificates counts as revoked")
	}
	if since := s.certs.Revoked.Outdated(now); !since.IsZero() {
		s.log.Warn().Str("file", s.options.SSLCRL).Time("since", since).Msg("there should be a newer revocation list: the old one goes on to count")
	}
}

// logOwn warns of a certificate that is none for this server.
func (s *Server) logOwn() {
	if why := s.certs.OwnTrouble(); why != "" {
		s.log.Warn().Str("why", why).Msg("clients will not accept this server")
	}
}

// logLoose warns of what others can do to this server by way of its files.
func (s *Server) logLoose() {
	o := &s.options
	problems := append(certs.LooseFiles(o.AllowedClientCertDir, ".pem", ".json"), certs.LooseKey(o.SSLKey))
	if o.Icinga2PasswordFile != "" {
		problems = append(problems, certs.LooseSecret(o.Icinga2PasswordFile, "the password"))
	}
	for _, file := range []string{o.SSLCACert, o.SSLCert, o.AllowedClientCertDir, o.StateDir} {
		problems = append(problems, certs.LooseFile(file))
	}
	caKey := filepath.Join(filepath.Dir(o.SSLCACert), certs.CAKeyName)
	if f, err := os.Open(caKey); err == nil {
		f.Close()
		if os.Geteuid() != 0 {
			problems = append(problems, fmt.Sprintf("this server can read the CA's own key %s, which it does not need: `chown root %s`", caKey, caKey))
		}
	}
	told := map[string]bool{"": true}
	for _, p := range problems {
		if !told[p] {
			told[p] = true
			s.log.Warn().Str("why", p).Msg("this server's files are not safe")
		}
	}
}
