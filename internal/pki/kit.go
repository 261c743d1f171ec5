package pki

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"massive-passive/wire/certs"
)

// kit is what one host needs, by the names that files have in its
// configuration directory. In an archive it is a plain tar file.
type kit map[string][]byte

// The most bytes of an archive, which for a server has a file for each client,
// and of a file in it.
const (
	maxKit     = 64 << 20
	maxKitFile = 1 << 20
)

// newKit holds a certificate; key is nil where it never left its host.
func newKit(r role, caPEM, cert, key []byte) kit {
	k := kit{certs.CACertName: caPEM, r.certName(): cert}
	if key != nil {
		k[r.keyName()] = key
	}
	return k
}

func modeOf(name string) fs.FileMode {
	if strings.HasSuffix(name, ".key") {
		return private
	}
	return public
}

// files are those of the kit below dir. Keys belong to the daemon's user.
func (k kit) files(dir string, o *owner) []file {
	var list []file
	for _, name := range sortedKeys(k) {
		f := file{path: filepath.Join(dir, name), data: k[name], mode: modeOf(name)}
		if f.mode == private {
			f.owner = o
		}
		list = append(list, f)
	}
	return list
}

// archive packs the kit.
func (k kit) archive() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sortedKeys(k) {
		w.WriteHeader(&tar.Header{Name: name, Mode: int64(modeOf(name)), Size: int64(len(k[name])), Format: tar.FormatUSTAR}) // to memory
		w.Write(k[name])
	}
	w.Close()
	return b.Bytes()
}

// readArchive unpacks a kit and refuses every name that is none of a kit's: an
// archive from elsewhere writes nowhere else.
func readArchive(data []byte) (kit, error) {
	k := kit{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is neither an archive of `massive-passive pki` nor certificates in PEM form: %w", err)
		}
		if !kitName(h.Name) || h.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("it holds %q, which is no file of such an archive", h.Name)
		}
		if h.Size > maxKitFile {
			return nil, fmt.Errorf("%s in it has %d bytes, more than any certificate", h.Name, h.Size)
		}
		if k[h.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("read %s in it: %w", h.Name, err)
		}
	}
	if len(k) == 0 {
		return nil, errors.New("it is empty")
	}
	return k, nil
}

func kitName(name string) bool {
	switch name {
	case certs.CACertName, certs.ServerCertName, certs.ServerKeyName, certs.ClientCertName, certs.ClientKeyName:
		return true
	}
	dir, base := path.Split(name)
	stem, ok := strings.CutSuffix(base, ".pem")
	return dir == certs.AllowedDirName+"/" && ok && checkClientName(stem) == nil
}

// addAllowed adds the certificates of all clients that are allowed in dir.
func (k kit) addAllowed(dir string) error {
	entries, err := os.ReadDir(filepath.Join(dir, certs.AllowedDirName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the allowed clients: %w", err)
	}
	for _, e := range entries {
		name := certs.AllowedDirName + "/" + e.Name()
		if !kitName(name) {
			continue
		}
		if k[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("read an allowed client: %w", err)
		}
	}
	return nil
}
