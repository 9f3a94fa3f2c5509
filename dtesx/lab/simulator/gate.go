package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// gate stands before govmomi's simulator. It knows who calls, refuses what they may not do, answers
// the methods that ESXi treats more strictly itself, and passes the rest on.
type gate struct {
	lab  *lab
	next http.Handler
	sdk  string

	mu       sync.Mutex
	sessions map[string]*account
}

func newGate(l *lab) *gate {
	g := &gate{lab: l, next: l.service.ServeMux, sdk: simulator.Map.Path, sessions: make(map[string]*account)}
	l.gate = g
	return g
}

// expire ends every session, as vCenter does when it restarts or a session idles too long.
func (g *gate) expire() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	count := len(g.sessions)
	g.sessions = make(map[string]*account)
	return count
}

func (g *gate) remember(key string, user *account) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions[key] = user
}

func (g *gate) forget(keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range keys {
		delete(g.sessions, key)
	}
}

// session names the caller; an unknown cookie is dropped so that the simulator does not honour it either.
func (g *gate) session(r *http.Request) (string, *account) {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return "", nil
	}
	key := strings.Trim(cookie.Value, `"`)
	g.mu.Lock()
	defer g.mu.Unlock()
	user := g.sessions[key]
	if user == nil {
		r.Header.Del("Cookie")
	}
	return key, user
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, user := g.session(r)
	if r.Method != http.MethodPost || (r.URL.Path != g.sdk && r.URL.Path != g.sdk+"/vimService") {
		g.serveFile(w, r, user)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	method, err := simulator.UnmarshalBody(knownType, text)
	if err != nil {
		refuse(&types.InvalidRequest{}, "%v", err).write(w)
		return
	}
	if f := g.admit(method, user); f != nil {
		f.write(w)
		return
	}
	g.dispatch(w, r, &call{method: method, user: user, session: key})
}

// serveFile covers what is not SOAP; ESXi gives datastore files to a session or to basic credentials only.
func (g *gate) serveFile(w http.ResponseWriter, r *http.Request, user *account) {
	if strings.HasPrefix(r.URL.Path, "/folder") && user == nil {
		name, password, _ := r.BasicAuth()
		if g.lab.login(name, password) == nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

func knownType(name string) (reflect.Type, bool) {
	find := types.TypeFunc()
	if found, ok := find(name); ok {
		return found, true
	}
	if _, local, ok := strings.Cut(name, ":"); ok { // a type with a namespace prefix
		return find(local)
	}
	return nil, false
}

// openTo tells which calls need no session: those that lead to Login.
func openTo(method *simulator.Method) bool {
	switch method.Name {
	case "RetrieveServiceContent", "Login", "LoginByToken", "LoginExtensionByCertificate", "CloneSession":
		return true
	case "Fetch":
		return method.This.Type == "ServiceInstance" || method.This.Type == "SessionManager"
	case "RetrieveProperties", "RetrievePropertiesEx":
		return onlyAbout(method.Body, "ServiceInstance", "SessionManager")
	}
	return false
}

func onlyAbout(body types.AnyType, kinds ...string) bool {
	var specs []types.PropertyFilterSpec
	switch request := body.(type) {
	case *types.RetrieveProperties:
		specs = request.SpecSet
	case *types.RetrievePropertiesEx:
		specs = request.SpecSet
	}
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			if !strings.Contains(strings.Join(kinds, " "), object.Obj.Type) {
				return false
			}
		}
	}
	return len(specs) > 0
}

// admit refuses unknown callers, missing privileges, unknown objects and what a test asked to fail.
func (g *gate) admit(method *simulator.Method, user *account) *fault {
	if user == nil {
		if !openTo(method) {
			kind := &types.NotAuthenticated{NoPermission: types.NoPermission{Object: method.This, PrivilegeId: "System.View"}}
			return refuse(kind, "The session is not authenticated.")
		}
	} else {
		for _, privilege := range demanded(method.Name, method.Body) {
			if !user.may(privilege) {
				kind := &types.NoPermission{Object: method.This, PrivilegeId: privilege}
				return refuse(kind, "Permission to perform this operation was denied.")
			}
		}
	}
	if strings.HasSuffix(method.Name, "_Task") {
		return nil // fails inside its task, as in life
	}
	return g.lab.injected(method.Name)
}

// call is one admitted request.
type call struct {
	method  *simulator.Method
	user    *account
	session string
	task    *simulator.Task
}

func (g *gate) dispatch(w http.ResponseWriter, r *http.Request, c *call) {
	if work, ok := taskMethods[c.method.Name]; ok {
		if simulator.Map.Get(c.method.This) == nil {
			refuse(&types.ManagedObjectNotFound{Obj: c.method.This},
				"The object '%s' has already been deleted or has not been completely created", c.method.This).write(w)
			return
		}
		task := g.lab.start(c, work)
		writeResult(w, c.method.Name, fmt.Sprintf(`<returnval type="Task">%s</returnval>`, task.Value))
		return
	}
	if answer, ok := plainMethods[c.method.Name]; ok {
		answer(g, w, r, c)
		return
	}
	g.pass(w, r, c)
}

// pass hands the request to govmomi's simulator, whole answers only: where it panics, nothing was sent yet.
func (g *gate) pass(w http.ResponseWriter, r *http.Request, c *call) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	if !g.forward(recorder, r, c) {
		if c.method.Name == "Fetch" { // an unset property: the simulator indexes an empty list
			writeResult(w, "Fetch", "")
		} else {
			refuse(&types.RuntimeFault{}, "A general system error occurred: %s failed", c.method.Name).write(w)
		}
		return recorder
	}
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(withText(recorder.Body.Bytes()))
	return recorder
}

// forward holds the state lock, except while waiting for updates, which takes as long as the client likes.
func (g *gate) forward(w http.ResponseWriter, r *http.Request, c *call) (ok bool) {
	defer func() {
		if problem := recover(); problem != nil {
			if c.method.Name != "Fetch" {
				logPanic(c.method.Name, problem)
			}
			ok = false
		}
	}()
	if !strings.HasPrefix(c.method.Name, "WaitForUpdates") {
		g.lab.state.Lock()
		defer g.lab.state.Unlock()
		g.lab.refreshStores()
	}
	g.next.ServeHTTP(w, r)
	return true
}

// withText puts the fault's name where the simulator left the sentence empty.
func withText(answer []byte) []byte {
	empty := []byte("<faultstring></faultstring>")
	if !bytes.Contains(answer, empty) {
		return answer
	}
	name := "The operation failed"
	if _, rest, ok := bytes.Cut(answer, []byte(`xsi:type="`)); ok {
		kind, _, _ := bytes.Cut(rest, []byte(`"`))
		name = string(kind)
	}
	return bytes.Replace(answer, empty, []byte("<faultstring>"+name+"</faultstring>"), 1)
}

// plainMethods answer at once, without a task.
var plainMethods = map[string]func(*gate, http.ResponseWriter, *http.Request, *call){
	"Login":                       login,
	"LoginByToken":                refuseLogin,
	"LoginExtensionByCertificate": refuseLogin,
	"CloneSession":                refuseLogin,
	"Logout":                      logout,
	"TerminateSession":            terminate,
	"ShutdownGuest":               shutdownGuest,
	"QueryVirtualDiskUuid":        queryDiskUUID,
	"HasPrivilegeOnEntities":      hasPrivileges,
}

var badLogin = refuse(new(types.InvalidLogin), "Cannot complete login due to an incorrect user name or password.")

func login(g *gate, w http.ResponseWriter, r *http.Request, c *call) {
	request := c.method.Body.(*types.Login)
	user := g.lab.login(request.UserName, request.Password)
	if user == nil || c.user != nil {
		badLogin.write(w)
		return
	}
	answer := g.pass(w, r, c)
	for _, cookie := range answer.Result().Cookies() {
		if cookie.Name == soap.SessionCookieName {
			g.remember(cookie.Value, user)
		}
	}
}

func refuseLogin(_ *gate, w http.ResponseWriter, _ *http.Request, _ *call) {
	badLogin.write(w)
}

func logout(g *gate, w http.ResponseWriter, r *http.Request, c *call) {
	g.pass(w, r, c)
	g.forget(c.session)
}

func terminate(g *gate, w http.ResponseWriter, r *http.Request, c *call) {
	if answer := g.pass(w, r, c); answer.Code == http.StatusOK {
		g.forget(c.method.Body.(*types.TerminateSession).SessionId...)
	}
}

func hasPrivileges(_ *gate, w http.ResponseWriter, _ *http.Request, c *call) {
	request := c.method.Body.(*types.HasPrivilegeOnEntities)
	var out strings.Builder
	for _, entity := range request.Entity {
		fmt.Fprintf(&out, `<returnval><entity type="%s">%s</entity>`, entity.Type, entity.Value)
		for _, privilege := range request.PrivId {
			fmt.Fprintf(&out, `<privAvailability><privId>%s</privId><isGranted>%t</isGranted></privAvailability>`,
				escaped(privilege), c.user.may(privilege))
		}
		out.WriteString(`</returnval>`)
	}
	writeResult(w, c.method.Name, out.String())
}
