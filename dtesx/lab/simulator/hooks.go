package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// hookDeadline bounds one hook: starting a machine may take long on a busy host.
const hookDeadline = 180 * time.Second

// hooks tells the lab what happens to powered-on machines and waits until it has happened there too.
// Without a socket every call succeeds.
type hooks struct {
	socket string
}

type hookDisk struct {
	File       string `json:"file"`
	UUID       string `json:"uuid"`
	Size       int64  `json:"size"`
	Controller int32  `json:"controller"`
	Unit       int32  `json:"unit"`
}

type hookNic struct {
	MAC     string `json:"mac"`
	Network string `json:"network"`
}

type hookCall struct {
	Call      string     `json:"call"`
	VM        string     `json:"vm"`
	Disk      *hookDisk  `json:"disk,omitempty"`
	UUID      string     `json:"uuid,omitempty"`
	Firmware  string     `json:"firmware,omitempty"`
	CPUs      int32      `json:"cpus,omitempty"`
	MemoryMiB int32      `json:"memory_mib,omitempty"`
	Disks     []hookDisk `json:"disks,omitempty"`
	Nics      []hookNic  `json:"nics,omitempty"`
}

type hookReply struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// send returns a fault when the lab refuses, or is away: then nothing may change here either.
func (h *hooks) send(call *hookCall) *fault {
	if h.socket == "" {
		return nil
	}
	reply, err := h.exchange(call)
	if err != nil {
		return genericFault("the lab did not %s %s: %v", call.Call, call.VM, err)
	}
	if reply.Error != "" || !reply.OK {
		return genericFault("%s", reply.Error)
	}
	return nil
}

func (h *hooks) exchange(call *hookCall) (*hookReply, error) {
	connection, err := net.DialTimeout("unix", h.socket, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(hookDeadline)); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(connection).Encode(call); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(connection).ReadBytes('\n')
	if err != nil && len(line) == 0 {
		return nil, fmt.Errorf("no reply: %w", err)
	}
	reply := new(hookReply)
	if err := json.Unmarshal(line, reply); err != nil {
		return nil, err
	}
	return reply, nil
}
