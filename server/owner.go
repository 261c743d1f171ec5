package server

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"massive-passive/internal/disk"
)

// ownerFile is in the state directory.
const ownerFile = "owner"

// openOwner reads what tells this server's files from another's that leaves
// some in the same directory, or draws it by lot: servers in containers have
// the same paths, and often the same host name.
func (s *Server) openOwner() {
	file := filepath.Join(s.options.StateDir, ownerFile)
	text, err := new(disk.Asker).ReadFile(file)
	if drawn := strings.TrimSpace(string(text)); err == nil && len(drawn) == len(rand.Text()) {
		s.owner = drawn
		return
	}
	if err == nil {
		err = fmt.Errorf("%s is damaged: it holds %d bytes", file, len(text))
	}
	s.owner = rand.Text()
	kept := disk.Replace(file, []byte(s.owner+"\n"))
	if kept == nil && errors.Is(err, fs.ErrNotExist) {
		return
	}
	s.log.Warn().AnErr("read", err).AnErr("write", kept).
		Msg("this server has another mark for its files than before: should it be killed, it does not know again what it left in the core's directory")
}

// ownerOf names a sink of this server where several servers leave files: the
// same after a restart, and another for each.
func (s *Server) ownerOf(sink string) string {
	sum := sha256.Sum256([]byte(s.owner + "\x00" + sink))
	return fmt.Sprintf("%x", sum[:8])
}
