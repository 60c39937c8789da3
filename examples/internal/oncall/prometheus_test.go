package oncall_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a process may take to start, or to end. Machines that run tests are busy.
const patience = 30 * time.Second

// tool finds a program of Debian's prometheus package, or ends the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		how := "no " + name + " in PATH: apt-get install prometheus"
		if os.Getenv("PRUSIK_REQUIRE_PROMETHEUS") != "" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return path
}

// server is a Prometheus process, with its data in a directory of its own.
type server struct {
	url    string
	client *http.Client
}

// startServer starts one that scrapes target and evaluates rules, every interval. It stops with the test.
func startServer(t *testing.T, target, rules string, interval time.Duration, flags ...string) *server {
	t.Helper()
	binary := tool(t, "prometheus")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	host, err := url.Parse(target)
	require.NoError(t, err)
	config := write("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: %[1]v, scrape_timeout: %[1]v, evaluation_interval: %[1]v}
rule_files: [%[2]q]
scrape_configs: [{job_name: voice, static_configs: [{targets: [%[3]q]}]}]
`, interval, write("alerts.yml", rules), host.Host))
	logs, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = logs.Close()
		if t.Failed() {
			text, _ := os.ReadFile(logs.Name())
			t.Logf("prometheus: %s", text)
		}
	})

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &server{client: &http.Client{Transport: transport}}
	for range 5 { // a port that was free may be taken when the server asks for it
		addr := freeAddr(t)
		s.url = "http://" + addr
		cmd := exec.Command(binary, append([]string{
			"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + addr, "--log.level=warn",
		}, flags...)...)
		cmd.Stdout, cmd.Stderr = logs, logs
		require.NoError(t, cmd.Start())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = cmd.Wait() // it says that it was stopped
		}()
		t.Cleanup(func() { stop(cmd, gone) })
		if s.ready(t.Context(), gone) {
			return s
		}
	}
	t.Fatal("prometheus did not start")
	return nil
}

func stop(cmd *exec.Cmd, gone <-chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-gone:
	case <-late.C:
		_ = cmd.Process.Kill()
		<-gone
	}
}

// ready waits until the server answers, and reports whether it does.
func (s *server) ready(ctx context.Context, gone <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if body, err := s.get(ctx, "/-/ready", nil); err == nil && len(body) > 0 {
			return true
		}
		select {
		case <-tick.C:
		case <-gone:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (s *server) get(ctx context.Context, path string, args url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path+"?"+args.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return body, err
}

// ask reads the data of an answer of the API into v.
func (s *server) ask(ctx context.Context, path string, args url.Values, v any) error {
	body, err := s.get(ctx, "/api/v1/"+path, args)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct{ Data any }{v})
}

// firing is an alert on the server's list.
type firing struct {
	Labels map[string]string
	State  string // pending or firing
	Value  string
}

// alerts are those that fire.
func (s *server) alerts(ctx context.Context) ([]firing, error) {
	var list struct{ Alerts []firing }
	err := s.ask(ctx, "alerts", nil, &list)
	var all []firing
	for _, a := range list.Alerts {
		if a.State == "firing" {
			all = append(all, a)
		}
	}
	return all, err
}

// point is a value at a time, in seconds.
type point struct{ at, value float64 }

// UnmarshalJSON reads [1435781451.781, "1"].
func (p *point) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &[]any{&p.at, &text}); err != nil {
		return err
	}
	var err error
	p.value, err = strconv.ParseFloat(text, 64)
	return err
}

// result is a series of a range.
type result struct {
	Metric map[string]string
	Values []point
}

// over asks for expr from start to end.
func (s *server) over(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]result, error) {
	var answer struct{ Result []result }
	err := s.ask(ctx, "query_range", url.Values{
		"query": {expr}, "start": {stamp(start)}, "end": {stamp(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, &answer)
	return answer.Result, err
}

func stamp(at time.Time) string { return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64) }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
