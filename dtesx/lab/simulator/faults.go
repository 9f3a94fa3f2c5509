package main

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// fault is a vSphere fault with the sentence that a user reads; govmomi's simulator has no sentences.
type fault struct {
	kind types.BaseMethodFault
	text string
}

func refuse(kind types.BaseMethodFault, format string, args ...interface{}) *fault {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

func (f *fault) localized() types.LocalizedMethodFault {
	return types.LocalizedMethodFault{Fault: f.kind, LocalizedMessage: f.text}
}

func (f *fault) name() string {
	return reflect.TypeOf(f.kind).Elem().Name()
}

// faultOf takes the fault out of a synchronous answer of govmomi's simulator; nil when there is none.
func faultOf(answer soap.HasFault) *fault {
	f := answer.Fault()
	if f == nil {
		return nil
	}
	kind, ok := f.VimFault().(types.BaseMethodFault)
	if !ok {
		kind = new(types.RuntimeFault)
	}
	text := f.String
	if text == "" {
		text = reflect.TypeOf(kind).Elem().Name()
	}
	return &fault{kind, text}
}

// namedFault makes a fault by its vSphere name, for injected failures.
func namedFault(name, text string) (*fault, error) {
	known, ok := types.TypeFunc()(name)
	if !ok {
		return nil, fmt.Errorf("there is no fault named %q", name)
	}
	kind, ok := reflect.New(known).Interface().(types.BaseMethodFault)
	if !ok {
		return nil, fmt.Errorf("%q is not a fault", name)
	}
	if busy, ok := kind.(*types.TaskInProgress); ok { // the other task must be named, whatever it is
		busy.Task = types.ManagedObjectReference{Type: "Task", Value: "task-0"}
	}
	return &fault{kind, text}, nil
}

func genericFault(format string, args ...interface{}) *fault {
	text := fmt.Sprintf(format, args...)
	return &fault{&types.GenericVmConfigFault{Reason: text}, text}
}

func lockedFault(path string) *fault {
	return refuse(&types.FileLocked{FileFault: types.FileFault{File: path}},
		"Unable to access file %s since it is locked", path)
}

func missingFile(path string) *fault {
	return refuse(&types.FileNotFound{FileFault: types.FileFault{File: path}}, "File %s was not found", path)
}

func existingFile(path string) *fault {
	return refuse(&types.FileAlreadyExists{FileFault: types.FileFault{File: path}},
		"Cannot complete the operation because the file or folder %s already exists", path)
}

// fileFault reports what the host's file system said, in the shape vSphere gives it.
func fileFault(path string, err error) *fault {
	return refuse(&types.FileFault{File: path}, "Cannot access file %s: %v", path, err)
}

func invalidDevice(index int, property string) *fault {
	kind := &types.InvalidDeviceSpec{DeviceIndex: int32(index)}
	kind.Property = property
	return refuse(kind, "Invalid configuration for device '%d' (%s).", index, property)
}

const (
	envelopeHead = xml.Header + `<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" ` +
		`xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` +
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>`
	envelopeTail = `</soapenv:Body></soapenv:Envelope>`
)

func writeEnvelope(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(envelopeHead + body + envelopeTail))
}

// writeResult answers a method; value is already XML (a returnval element) or empty.
func writeResult(w http.ResponseWriter, method, value string) {
	writeEnvelope(w, http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25">%s</%sResponse>`, method, value, method))
}

// write answers with the fault as SOAP: the exception is the client's, at once, without a task.
func (f *fault) write(w http.ResponseWriter) {
	var detail, text bytes.Buffer
	start := xml.StartElement{
		Name: xml.Name{Local: f.name() + "Fault"},
		Attr: []xml.Attr{
			{Name: xml.Name{Local: "xmlns"}, Value: "urn:vim25"},
			{Name: xml.Name{Local: "xsi:type"}, Value: f.name()},
		},
	}
	encoder := xml.NewEncoder(&detail)
	if err := encoder.EncodeElement(f.kind, start); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = xml.EscapeText(&text, []byte(f.text))
	writeEnvelope(w, http.StatusInternalServerError, fmt.Sprintf(
		`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>`+
			`<detail>%s</detail></soapenv:Fault>`,
		text.String(), detail.String()))
}
