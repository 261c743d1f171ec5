package sink

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// apiCore answers as Icinga's API does, and as it does at bad moments.
type apiCore struct {
	*httptest.Server
	mu       sync.Mutex
	pid      int
	answers  map[string][]string // what the next results of a service are answered, by its name: code and body
	got      map[string][]string // outputs that were taken
	statuses int
	may      []string // the user's permissions; nil: nobody tells
	password string
}

func newAPICore(t *testing.T) *apiCore {
	c := &apiCore{pid: 1, may: []string{"*"}, password: "icinga", answers: map[string][]string{}, got: map[string][]string{}}
	c.Server = httptest.NewTLSServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *apiCore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if user, password, _ := r.BasicAuth(); user != "root" || password != c.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/v1" {
		c.tellPermissions(w)
		return
	}
	if !c.allows(r.URL.Path) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, noObject)
		return
	}
	if r.Method == http.MethodGet {
		c.statuses++
		fmt.Fprintf(w, `{"results":[{"status":{"icingaapplication":{"app":{"pid":%d,"program_start":1.5}}}}]}`, c.pid)
		return
	}
	var body icingaResult
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, name, _ := strings.Cut(body.Service, "!")
	if list := c.answers[name]; len(list) > 0 {
		c.answers[name] = list[1:]
		code, text := 0, ""
		fmt.Sscanf(list[0], "%d", &code)
		_, text, _ = strings.Cut(list[0], " ")
		if code > 0 {
			w.WriteHeader(code)
			fmt.Fprint(w, text)
			return
		}
		panic(http.ErrAbortHandler) // and the connection is cut
	}
	c.got[name] = append(c.got[name], body.PluginOutput)
	fmt.Fprint(w, `{"results":[{"code":200.0,"status":"ok"}]}`)
}

// noObject is what Icinga 2.13 answers of an object that it does not have, and to
// a user who lacks the permission.
const noObject = `{"error":404,"status":"No objects found."}`

func (c *apiCore) tellPermissions(w http.ResponseWriter) {
	if c.may == nil {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<html>only results pass here")
		return
	}
	list, _ := json.Marshal(c.may)
	fmt.Fprintf(w, `{"results":[{"info":"More","permissions":%s,"user":"root","version":"r2.13.6-1"}]}`, list)
}

func (c *apiCore) allows(path string) bool {
	need := permitResults
	if strings.HasPrefix(path, "/v1/status") {
		need = permitStatus
	}
	granted, _ := permissions{list: c.may}.grant(need)
	return granted || c.may == nil
}

func (c *apiCore) permit(permissions ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.may = permissions
}

func (c *apiCore) outputs(service string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.got[service], " ")
}
