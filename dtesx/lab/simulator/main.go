// The vSphere simulator of the lab: govmomi's simulator, made as strict as ESXi where dtesx relies on it.
//
// It takes one argument, a JSON configuration file, serves the API until SIGTERM or SIGINT, and
// keeps its inventory in memory only; the datastore's files outlive it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// config mirrors SimulatorConfig of process.py.
type config struct {
	Address       string    `json:"address"`
	Port          int       `json:"port"`
	Datastore     string    `json:"datastore"`
	Certificate   string    `json:"certificate"`
	Key           string    `json:"key"`
	Users         []account `json:"users"`
	ApplianceName string    `json:"appliance_name"`
	ApplianceUUID string    `json:"appliance_uuid"`
	Hooks         string    `json:"hooks"`
	Control       string    `json:"control"`
	Spare         bool      `json:"spare"`
}

func readConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := new(config)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func main() {
	log.SetFlags(log.LUTC | log.Ldate | log.Ltime | log.Lmicroseconds)
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: simulator CONFIG.json")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

// serve listens before it builds the inventory, so that a port in use is reported at once.
func serve(path string) error {
	c, err := readConfig(path)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.Address, fmt.Sprint(c.Port)))
	if err != nil {
		return err
	}
	l, err := newLab(c)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	failed := make(chan error, 2)
	control, err := l.listenControl(c.Control)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defer os.Remove(c.Control)
	go func() { failed <- http.Serve(control, l.controlHandler()) }()
	server := &http.Server{Handler: newGate(l), ReadHeaderTimeout: 30 * time.Second}
	secure := tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	})
	go func() { failed <- server.Serve(secure) }()
	log.Printf("serving https://%s/sdk", listener.Addr())
	select {
	case err = <-failed:
		return err
	case <-stop:
		return nil
	}
}
