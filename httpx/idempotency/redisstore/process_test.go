package redisstore_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
	"github.com/prusik-go/prusik/internal/redistest"
)

// contenderEnv holds the server's address where this binary runs as a contender.
const contenderEnv = "PRUSIK_IDEMPOTENCY_CONTENDER"

const (
	processes  = 8
	contenders = 8 // goroutines of a process
)

// contend is the main of a contender. It reads keys, a line each, posts each from many goroutines at once, and prints how often
// the handler ran and how the others were answered. In the handler for the key "hang" it says so and stays.
func contend(addr string) {
	client := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	store, err := redisstore.New("redis", redisstore.Config{Client: client, Timeout: time.Minute})
	if err != nil {
		say(err)
		os.Exit(1)
	}
	var hang atomic.Bool
	svc := newService(failing{}, store, idempotency.FailClosed, func() {
		if hang.Load() {
			say("running")
			select {}
		}
	})
	svc.post("warm") // the connection and the scripts are there
	svc.runs.Store(0)
	say("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		key := lines.Text()
		if hang.Store(key == "hang"); hang.Load() {
			svc.post(key)
		}
		var answered, busy, other atomic.Int64
		var wg sync.WaitGroup
		for range contenders {
			wg.Go(func() {
				switch svc.post(key).Code {
				case 201:
					answered.Add(1)
				case 409:
					busy.Add(1)
				default:
					other.Add(1)
				}
			})
		}
		wg.Wait()
		say(svc.runs.Swap(0), answered.Load(), busy.Load(), other.Load())
	}
}

// failing is the testing.TB of a process that is none.
type failing struct{ testing.TB }

func (failing) Helper() {}

func (failing) Errorf(format string, args ...any) { say(fmt.Sprintf(format, args...)) }

func (failing) FailNow() { os.Exit(1) }

// say prints a line for the parent.
func say(what ...any) { _, _ = fmt.Fprintln(os.Stdout, what...) }

// process is a contender.
type process struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T, srv *redistest.Server) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), contenderEnv+"="+srv.Addr)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{cmd, in, bufio.NewReader(out)}
	t.Cleanup(p.kill)
	require.Equal(t, "ready", p.line(t))
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err, line)
	return strings.TrimSpace(line)
}

func (p *process) post(key string) { _, _ = io.WriteString(p.in, key+"\n") }

// Of 64 requests by 8 processes at once exactly one is run, ten times of ten.
func TestProcessesRunOnce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	var all [processes]*process
	for i := range all {
		all[i] = start(t, srv)
	}
	for round := range 10 {
		key := fmt.Sprintf("round-%d", round)
		for _, p := range all {
			p.post(key)
		}
		var runs, answered, busy, other int
		for _, p := range all {
			var n [4]int
			_, err := fmt.Sscan(p.line(t), &n[0], &n[1], &n[2], &n[3])
			require.NoError(t, err)
			runs, answered, busy, other = runs+n[0], answered+n[1], busy+n[2], other+n[3]
		}
		require.Equal(t, 1, runs, "round %d", round)
		require.Zero(t, other)
		require.Equal(t, processes*contenders, answered+busy)
		t.Logf("round %d: %d run, %d answered, %d told to come back", round, runs, answered, busy)
	}
}

// A process is killed while it runs a request. Nobody runs it again: while its lease lasts it is in progress, and then unknown.
func TestAProcessThatDies(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	p := start(t, srv)
	p.post("hang")
	require.Equal(t, "running", p.line(t))
	svc := newService(t, newStore(t, redisstore.Config{Client: newClient(t, srv.Addr)}), idempotency.FailClosed, nil)
	// The lease may be over on a machine that is busy enough; then this says less, but nothing wrong.
	require.Contains(t, []int{409, 500}, svc.post("hang").Code)
	p.kill()
	eventually(t, "the lease is over", func() bool {
		code := svc.post("hang").Code
		return code != 409 && code == 500
	})
	for range 10 {
		w := svc.post("hang")
		require.Equal(t, 500, w.Code)
		require.Contains(t, w.Body.String(), `"delivery":"unknown"`)
		require.Contains(t, w.Body.String(), `"idempotency":"unknown"`)
	}
	require.Zero(t, svc.runs.Load())
	require.Equal(t, 201, svc.post("another").Code)
}
