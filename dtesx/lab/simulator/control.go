package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func logPanic(what string, problem interface{}) {
	log.Printf("%s: %v\n%s", what, problem, debug.Stack())
}

// listenControl opens the Unix socket by which the lab and tests steer the simulator.
func (l *lab) listenControl(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", path)
}

func (l *lab) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]bool{"ready": true})
	})
	mux.HandleFunc("/guest", post(l.controlGuest))
	mux.HandleFunc("/fault", post(l.controlFault))
	mux.HandleFunc("/datastore", post(l.controlDatastore))
	mux.HandleFunc("/expire-sessions", post(func(struct{}) (interface{}, error) {
		return map[string]int{"sessions": l.gate.expire()}, nil
	}))
	return mux
}

func writeJSON(w http.ResponseWriter, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func post[T any](action func(T) (interface{}, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request T
		var answer interface{}
		err := fmt.Errorf("use POST")
		if r.Method == http.MethodPost {
			if err = json.NewDecoder(r.Body).Decode(&request); err == nil {
				answer, err = action(request)
			}
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			writeJSON(w, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, answer)
	}
}

type guestRequest struct {
	VM       string `json:"vm"`
	Address  string `json:"address"`
	Hostname string `json:"hostname"`
}

// controlGuest fills what VMware Tools would report; an empty address means the tools went silent.
func (l *lab) controlGuest(request guestRequest) (interface{}, error) {
	l.state.Lock()
	defer l.state.Unlock()
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if vm.Name == request.VM {
			l.setGuest(vm, request.Address, request.Hostname)
			return map[string]bool{"ok": true}, nil
		}
	}
	return nil, fmt.Errorf("there is no VM named %q", request.VM)
}

func (l *lab) setGuest(vm *simulator.VirtualMachine, address, hostname string) {
	running, status, state := "guestToolsRunning", types.VirtualMachineToolsStatusToolsOk, "running"
	if address == "" {
		running, status, state = "guestToolsNotRunning", types.VirtualMachineToolsStatusToolsNotRunning, "notRunning"
	}
	nics := append([]types.GuestNicInfo(nil), vm.Guest.Net...)
	for i := range nics {
		nics[i].IpAddress = nil
		if i == 0 && address != "" {
			nics[i].IpAddress = []string{address}
		}
	}
	guest := *vm.Guest
	guest.Net, guest.IpAddress, guest.HostName = nics, address, hostname
	guest.ToolsRunningStatus, guest.ToolsStatus, guest.GuestState = running, status, state
	summary := *vm.Summary.Guest
	summary.IpAddress, summary.HostName = address, hostname
	summary.ToolsRunningStatus, summary.ToolsStatus = running, status
	l.change(vm, set("guest", guest), set("summary.guest", summary),
		set("guest.ipAddress", address), set("guest.hostName", hostname),
		set("guest.toolsRunningStatus", running), set("guest.guestState", state))
}

type faultRequest struct {
	Method  string `json:"method"`
	Fault   string `json:"fault"`
	Message string `json:"message"`
	Count   int    `json:"count"`
}

func (l *lab) controlFault(request faultRequest) (interface{}, error) {
	if _, ok := types.TypeFunc()(request.Method); !ok {
		return nil, fmt.Errorf("there is no method named %q", request.Method)
	}
	f, err := namedFault(request.Fault, request.Message)
	if err != nil {
		return nil, err
	}
	l.inject(request.Method, f, request.Count)
	return map[string]bool{"ok": true}, nil
}

type datastoreRequest struct {
	Name      string `json:"name"`
	FreeBytes int64  `json:"free_bytes"`
}

// controlDatastore pretends that only so much is free; a negative number ends the pretence.
func (l *lab) controlDatastore(request datastoreRequest) (interface{}, error) {
	l.state.Lock()
	defer l.state.Unlock()
	if l.store(request.Name) == nil {
		return nil, fmt.Errorf("there is no datastore named %q", request.Name)
	}
	delete(l.limits, request.Name)
	if request.FreeBytes >= 0 {
		l.limits[request.Name] = request.FreeBytes
	}
	l.refreshStores()
	return map[string]bool{"ok": true}, nil
}
