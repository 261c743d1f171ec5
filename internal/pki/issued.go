package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"massive-passive/wire/certs"
)

// known is a certificate that lies in a directory.
type known struct {
	cert  *x509.Certificate
	role  role
	files []string // relative to the directory
}

// soon is from when on a certificate's end is pointed out.
const soon = 30 * 24 * time.Hour

// survey finds all certificates in dir, on the CA's machine as on any host. A
// file that cannot be read is a problem, told in words.
func survey(dir string) (list []known, problems []string, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, err
	}
	var names []string
	for _, pattern := range []string{certs.CACertName, certs.ServerCertName, certs.ClientCertName,
		certs.AllowedDirName + "/*.pem", issuedName + "/*.cert"} {
		found, _ := fs.Glob(os.DirFS(dir), pattern) // the patterns are good
		names = append(names, found...)
	}
	index := map[[sha256.Size]byte]int{}
	for _, name := range names {
		found, err := certs.ReadFile(filepath.Join(dir, name))
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		for _, c := range found {
			sum := sha256.Sum256(c.Raw)
			at, ok := index[sum]
			if !ok {
				at = len(list)
				index[sum] = at
				list = append(list, known{cert: c, role: roleOf(c)})
			}
			list[at].files = append(list[at].files, name)
		}
	}
	return list, problems, nil
}

func roleOf(c *x509.Certificate) role {
	switch {
	case c.IsCA:
		return ca
	case slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth):
		return server
	}
	return client
}

// hosts are the names and addresses of a certificate.
func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// state says how long a certificate is good, for people.
func state(c *x509.Certificate, now time.Time) string {
	days := int(c.NotAfter.Sub(now) / (24 * time.Hour))
	switch {
	case now.After(c.NotAfter):
		return "EXPIRED"
	case now.Before(c.NotBefore):
		return "not yet good"
	case c.NotAfter.Sub(now) < soon:
		return fmt.Sprintf("%d days: RENEW", days)
	}
	return fmt.Sprintf("%d days", days)
}

// printList writes the list as a table, what ends first at its top.
func printList(w io.Writer, list []known, now time.Time) error {
	slices.SortStableFunc(list, func(a, b known) int { return a.cert.NotAfter.Compare(b.cert.NotAfter) })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tNAME\tGOOD UNTIL\tLEFT\tSERIAL\tHOSTS\tFILES")
	for _, k := range list {
		files := slices.DeleteFunc(slices.Clone(k.files), func(f string) bool { return strings.HasPrefix(f, issuedName+"/") })
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%x\t%s\t%s\n", k.role, quoteName(k.cert.Subject.CommonName), day(k.cert.NotAfter), state(k.cert, now),
			k.cert.SerialNumber, quoteName(dash(strings.Join(hostsOf(k.cert), ","))), dash(strings.Join(files, " ")))
	}
	return table.Flush()
}

// quoteName keeps what others put into a certificate from playing with the
// terminal.
func quoteName(name string) string {
	if quoted := fmt.Sprintf("%q", name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// latest finds what was issued last for a name.
func latest(list []known, r role, name string) (known, bool) {
	var found known
	for _, k := range list {
		matches := k.cert.Subject.CommonName == name || r == server && slices.Contains(hostsOf(k.cert), name)
		if k.role == r && matches && (found.cert == nil || k.cert.NotAfter.After(found.cert.NotAfter)) {
			found = k
		}
	}
	return found, found.cert != nil
}
