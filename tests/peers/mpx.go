// A FastCGI application on net/http/fcgi, which takes several requests on a connection:
//
//	mpx SOCKET      or with a listening socket as standard input
//
// The last part of the path says what is done:
//
//	hello             hello
//	echo              the body, while it comes
//	bytes?n=N         N bytes, byte i of which is i % 251
//	hold?name=X       "held\n", and once X is released "released\n"
//	release?name=X    releases it, whenever it comes
//	stats             what came, as JSON
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path"
	"strconv"
	"sync"
)

// ---- what came ----

type connStats struct {
	Ids  []uint16 // of BEGIN_REQUEST records, in order
	Most int      // requests at work at once
	Open bool

	now map[uint16]bool
}

type stats struct {
	sync.Mutex
	Conns  []*connStats
	Values int // GET_VALUES records
	Aborts int
}

var seen stats

const (
	beginRequest = 1
	abortRequest = 2
	endRequest   = 3
	getValues    = 9
)

// tap looks at the records that go through a connection one way.
type tap struct {
	head [8]byte
	n    int // bytes of head so far
	rest int // bytes of content and padding that are left
	take func(kind byte, id uint16)
}

func (t *tap) feed(p []byte) {
	for len(p) > 0 {
		if t.rest > 0 {
			n := t.rest
			if n > len(p) {
				n = len(p)
			}
			t.rest -= n
			p = p[n:]
			continue
		}
		n := copy(t.head[t.n:], p)
		t.n += n
		p = p[n:]
		if t.n == len(t.head) {
			t.n = 0
			t.rest = int(binary.BigEndian.Uint16(t.head[4:])) + int(t.head[6])
			t.take(t.head[1], binary.BigEndian.Uint16(t.head[2:]))
		}
	}
}

type conn struct {
	net.Conn
	in, out tap
	stats   *connStats
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	seen.Lock()
	defer seen.Unlock()
	c.in.feed(p[:n])
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	seen.Lock()
	c.out.feed(p)
	seen.Unlock()
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	seen.Lock()
	c.stats.Open = false
	seen.Unlock()
	return c.Conn.Close()
}

func watch(inner net.Conn) *conn {
	s := &connStats{Open: true, Ids: []uint16{}, now: map[uint16]bool{}}
	c := &conn{Conn: inner, stats: s}
	c.in.take = func(kind byte, id uint16) {
		switch kind {
		case beginRequest:
			s.Ids = append(s.Ids, id)
			s.now[id] = true
			if len(s.now) > s.Most {
				s.Most = len(s.now)
			}
		case abortRequest:
			seen.Aborts++
		case getValues:
			seen.Values++
		}
	}
	c.out.take = func(kind byte, id uint16) {
		if kind == endRequest {
			delete(s.now, id) // a second one, after an abort, says nothing
		}
	}
	seen.Lock()
	seen.Conns = append(seen.Conns, s)
	seen.Unlock()
	return c
}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watch(c), nil
}

// ---- what is answered ----

var gates struct {
	sync.Mutex
	open map[string]chan bool
}

func gate(name string) chan bool {
	gates.Lock()
	defer gates.Unlock()
	if gates.open[name] == nil {
		gates.open[name] = make(chan bool)
	}
	return gates.open[name]
}

func release(name string) {
	ch := gate(name)
	gates.Lock()
	defer gates.Unlock()
	select {
	case <-ch:
	default:
		close(ch)
	}
}

func sendBytes(w io.Writer, n int) error {
	block := make([]byte, 251*256)
	for i := range block {
		block[i] = byte(i % 251)
	}
	for n > 0 {
		if n < len(block) {
			block = block[:n]
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
		n -= len(block)
	}
	return nil
}

func handle(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "text/plain")
	switch path.Base(r.URL.Path) {
	case "hello":
		fmt.Fprintln(w, "hello")
	case "echo":
		io.Copy(w, r.Body)
	case "bytes":
		n, _ := strconv.Atoi(query.Get("n"))
		sendBytes(w, n)
	case "hold":
		fmt.Fprintln(w, "held")
		w.(http.Flusher).Flush()
		<-gate(query.Get("name"))
		fmt.Fprintln(w, "released")
	case "release":
		release(query.Get("name"))
	case "stats":
		seen.Lock()
		text, _ := json.Marshal(&seen)
		seen.Unlock()
		w.Write(text)
	default:
		http.NotFound(w, r)
	}
}

func listen() (net.Listener, error) {
	if len(os.Args) < 2 {
		return net.FileListener(os.Stdin)
	}
	os.Remove(os.Args[1])
	l, err := net.Listen("unix", os.Args[1])
	if err == nil {
		err = os.Chmod(os.Args[1], 0666)
	}
	return l, err
}

func main() {
	gates.open = map[string]chan bool{}
	l, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(fcgi.Serve(listener{l}, http.HandlerFunc(handle)))
}
