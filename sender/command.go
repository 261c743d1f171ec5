package sender

import (
	"time"

	"github.com/urfave/cli/v2"
)

// Command is `massive-passive send`.
func Command(env Env) *cli.Command {
	d := DefaultSendOptions()
	return &cli.Command{
		Name:  "send",
		Usage: "send results from standard input to servers",
		Description: "Reads results from standard input as send_nsca does: HOST<tab>SERVICE<tab>CODE<tab>OUTPUT for a service,\n" +
			"HOST<tab>CODE<tab>OUTPUT for a host, several divided by ETB (0x17). Ends with 0 only after every server\n" +
			"acknowledged every result; 2: not sent, 4: refused for good, 5: sent, but no answer came, so that nobody knows.\n\n" +
			"Example: printf 'web1\\tload\\t0\\tall quiet' | massive-passive send --server mon.example",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "server", Usage: "`ADDRESS[:PORT]`,... to send to, each of them"},
			&cli.BoolFlag{Name: "C", Usage: "standard input holds external commands, one a line"},
			&cli.Float64Flag{Name: "timeout", Value: d.Timeout.Seconds(), Usage: "`SECONDS` for everything together"},
			&cli.BoolFlag{Name: "quiet", Usage: "say nothing on success"},
			&cli.StringFlag{Name: "ssl-key", Value: d.SSLKey, Usage: "`FILE` with the client's private key"},
			&cli.StringFlag{Name: "ssl-cert", Value: d.SSLCert, Usage: "`FILE` with the client's certificate"},
			&cli.StringFlag{Name: "ssl-ca-cert", Value: d.SSLCACert, Usage: "`FILE` with the CA that signed the servers' certificates"},
			&cli.StringFlag{Name: "ssl-verify", Value: d.SSLVerify, Usage: "name: the certificate must be for the server's address; ca: its CA is enough"},
			&cli.StringFlag{Name: "tls-min-version", Value: d.TLSMinVersion, Usage: "the oldest `VERSION` of TLS that a server may speak: 1.0, 1.1, 1.2 or 1.3"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return &OptionError{c.Args().First(), "there is no such option; `massive-passive send --help` lists them"}
			}
			return Run(c.Context, env, SendOptions{
				Servers:       c.StringSlice("server"),
				SSLKey:        c.String("ssl-key"),
				SSLCert:       c.String("ssl-cert"),
				SSLCACert:     c.String("ssl-ca-cert"),
				SSLVerify:     c.String("ssl-verify"),
				TLSMinVersion: c.String("tls-min-version"),
				Raw:           c.Bool("C"),
				Timeout:       time.Duration(c.Float64("timeout") * float64(time.Second)),
				Quiet:         c.Bool("quiet"),
			})
		},
	}
}
