package redisstore

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// runner runs the script on Redis, by its hash, and sends it whole where the server does not know it: after a restart, a
// failover or SCRIPT FLUSH. When it returns is up to the client: see [pipeline].
type runner interface {
	// open makes sure that there is a client, and reports whether each call is to be run alone.
	open() (alone bool, err error)
	// run makes and finishes all calls of b.
	run(ctx context.Context, b batch)
	ping(ctx context.Context) error
	// close closes the client, and reports true, unless it was handed in.
	close() bool
}

// How many batches are under way at most, by client. rueidis sends them on one connection: the bound is there lest a server that
// hangs gathers goroutines, and is felt where more than 3,200 batches a second meet a round trip of 20 ms. go-redis takes a
// connection for each, and answers on many connections come apart: with 64 callers 16 of them cost a quarter more than 8.
const (
	rueidisLanes = 64
	goRedisLanes = 8
)

// viaRueidis runs on a client that it does not own.
type viaRueidis struct {
	client  rueidis.Client
	hash    string
	alone   bool
	demoted func(*viaRueidis) // is told that the server takes no writes, if not nil
}

func newRueidis(c rueidis.Client) *viaRueidis {
	return &viaRueidis{client: c, hash: redis.NewScript(script).Hash(), alone: c.Mode() == rueidis.ClientModeCluster}
}

func (v *viaRueidis) open() (bool, error) { return v.alone, nil }

func (v *viaRueidis) run(ctx context.Context, b batch) {
	if v.try(ctx, b, false) > 0 {
		v.try(ctx, b, true)
	}
}

// try makes what is not finished of b in one round trip, but for the calls for which the server did not know the script: it
// counts them. Where whole, the first call brings the script for the others, which follow on the same connection.
func (v *viaRueidis) try(ctx context.Context, b batch, whole bool) (unknown int) {
	cmds := make([]rueidis.Completed, 0, len(b))
	for _, c := range b {
		switch {
		case c == nil:
		case whole && len(cmds) == 0:
			cmds = append(cmds, v.client.B().Eval().Script(script).Numkeys(1).Key(c.key).Arg(c.args...).Build())
		default:
			cmds = append(cmds, v.client.B().Evalsha().Sha1(v.hash).Numkeys(1).Key(c.key).Arg(c.args...).Build())
		}
	}
	results := v.client.DoMulti(patient{ctx}, cmds...)
	for i, c := range b {
		if c == nil {
			continue
		}
		err := decode(results[0], c)
		results = results[1:]
		if refusal, ok := rueidis.IsRedisErr(err); ok {
			if refusal.IsNoScript() && !whole {
				unknown++
				continue
			}
			if v.demoted != nil && strings.Contains(refusal.Error(), "READONLY") {
				v.demoted(v)
			}
		}
		b.finish(i, err)
	}
	return unknown
}

// decode reads an answer of the script: a number, or a list of them.
func decode(result rueidis.RedisResult, c *call) error {
	msg, err := result.ToMessage()
	if err != nil {
		return err
	}
	if c.want == 1 {
		if c.reply[0], err = msg.AsInt64(); err != nil {
			return errReply
		}
		return nil
	}
	list, err := msg.ToArray()
	if err != nil || len(list) != c.want {
		return errReply
	}
	for i := range list {
		if c.reply[i], err = list[i].AsInt64(); err != nil {
			return errReply
		}
	}
	return nil
}

func (v *viaRueidis) ping(ctx context.Context) error {
	return v.client.Do(ctx, v.client.B().Ping().Build()).Error()
}

func (*viaRueidis) close() bool { return false }

// patient is a context that ends but interrupts nothing: rueidis starts nothing more, and waits for what it has started, on a
// connection that it watches. For a connection that is to be opened, it has time limits of its own.
type patient struct{ context.Context } //nolint:containedctx // it is one

func (patient) Done() <-chan struct{} { return nil }

func (patient) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// viaGoRedis runs on a go-redis client, which it does not own.
type viaGoRedis struct {
	client redis.UniversalClient
	hash   string
	alone  bool
}

func newGoRedis(c redis.UniversalClient) *viaGoRedis {
	_, single := c.(*redis.Client)
	return &viaGoRedis{client: c, hash: redis.NewScript(script).Hash(), alone: !single}
}

func (v *viaGoRedis) open() (bool, error) { return v.alone, nil }

func (v *viaGoRedis) run(ctx context.Context, b batch) {
	if v.try(ctx, b, false) > 0 {
		v.try(ctx, b, true)
	}
}

// once is a command that go-redis does not send again: it may have been run.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// try is as that of viaRueidis.
func (v *viaGoRedis) try(ctx context.Context, b batch, whole bool) (unknown int) {
	pipe := v.client.Pipeline()
	cmds := make([]*redis.Cmd, 0, len(b))
	for _, c := range b {
		if c == nil {
			continue
		}
		args := make([]any, 0, 4+len(c.args))
		if whole && len(cmds) == 0 {
			args = append(args, "eval", script, 1, c.key)
		} else {
			args = append(args, "evalsha", v.hash, 1, c.key)
		}
		for _, arg := range c.args {
			args = append(args, arg)
		}
		cmd := redis.NewCmd(ctx, args...)
		cmds = append(cmds, cmd)
		_ = pipe.Process(ctx, once{cmd})
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for i, c := range b {
		if c == nil {
			continue
		}
		answer, err := cmds[0].Result()
		cmds = cmds[1:]
		if !whole && redis.HasErrorPrefix(err, "NOSCRIPT") {
			unknown++
			continue
		}
		if err == nil {
			err = decodeAny(answer, c)
		}
		b.finish(i, err)
	}
	return unknown
}

// decodeAny is decode for go-redis.
func decodeAny(answer any, c *call) error {
	list, ok := answer.([]any)
	if !ok {
		list = []any{answer}
	}
	if len(list) != c.want {
		return errReply
	}
	for i, a := range list {
		if c.reply[i], ok = a.(int64); !ok {
			return errReply
		}
	}
	return nil
}

func (v *viaGoRedis) ping(ctx context.Context) error { return v.client.Ping(ctx).Err() }

func (*viaGoRedis) close() bool { return false }
