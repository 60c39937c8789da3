package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// contenderEnv holds the server's URL where this binary runs as a contender.
const contenderEnv = "PRUSIK_REDISSTORE_CONTENDER"

const (
	processes  = 8
	contenders = 8  // goroutines of a process
	attempts   = 25 // of a goroutine
	admitted   = 500
)

// contend is the main of a contender: it waits for a line, tries, and prints how often it was admitted.
func contend(url string) {
	store, err := redisstore.New("redis", redisstore.Config{URL: url, Timeout: time.Minute})
	if err == nil {
		err = store.Ping(context.Background())
	}
	if err != nil {
		say(err)
		os.Exit(1)
	}
	limit := ratelimit.Limit{Name: "all", Count: admitted, Period: 24 * time.Hour, Burst: admitted}
	say("ready")
	var line string
	_, _ = fmt.Scanln(&line)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range contenders {
		wg.Go(func() {
			for range attempts {
				res, err := store.Take(context.Background(), ratelimit.Request{
					Limiter: "api", Key: "one", Limits: []ratelimit.Limit{limit}, Cost: 1,
				})
				if err != nil {
					say(err)
					os.Exit(1)
				}
				if res.Allowed {
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	say(n.Load())
}

// say prints a line for the parent.
func say(what any) { _, _ = fmt.Fprintln(os.Stdout, what) }

// Exactly as many as the limit says, of 1600 requests by 8 processes at once.
func TestProcessesShareOneLimit(t *testing.T) {
	runs := 10
	if testing.Short() {
		runs = 2
	}
	srv := redistest.Start(t)
	for run := range runs {
		srv.Restart()
		var cmds [processes]*exec.Cmd
		var outs [processes]*lines
		for i := range cmds {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), contenderEnv+"="+srv.URL())
			outs[i] = newLines()
			cmd.Stdout, cmd.Stderr = outs[i], outs[i]
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			cmds[i] = cmd
			defer stdin.Close()
			defer cmd.Wait()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			outs[i].start = func() { _, _ = stdin.Write([]byte("go\n")) }
		}
		for _, out := range outs {
			require.Equal(t, "ready", out.next(t))
		}
		for _, out := range outs {
			out.start()
		}
		sum := 0
		for _, out := range outs {
			text := out.next(t)
			n, err := strconv.Atoi(text)
			require.NoError(t, err, text)
			sum += n
		}
		require.Equal(t, admitted, sum, "run %d", run)
		t.Logf("run %d: %d of %d admitted, the limit is %d", run, sum, processes*contenders*attempts, admitted)
	}
}

// lines is a writer whose lines can be awaited.
type lines struct {
	start func()
	mu    sync.Mutex
	rest  []byte
	got   chan string
}

func newLines() *lines { return &lines{got: make(chan string, 1000)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.got <- string(line)
		l.rest = rest
	}
}

func (l *lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l.got:
		return line
	case <-time.After(time.Minute):
		t.Fatal("a contender says nothing")
		return ""
	}
}
