package redisstore_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// node is a member of a cluster.
type node struct {
	*redistest.Server
	rueidis.Client
	id string
}

// cluster starts a cluster of two nodes, which have half of the slots each.
func cluster(t *testing.T) (nodes [2]node) {
	t.Helper()
	for i := range nodes {
		srv := redistest.Start(t, "--cluster-enabled", "yes")
		c := admin(t, srv)
		id, err := c.Do(t.Context(), c.B().ClusterMyid().Build()).ToString()
		require.NoError(t, err)
		slots := make([]int64, 1<<13)
		for j := range slots {
			slots[j] = int64(i<<13 + j)
		}
		require.NoError(t, c.Do(t.Context(), c.B().ClusterAddslots().Slot(slots...).Build()).Error())
		nodes[i] = node{srv, c, id}
	}
	host, port, err := net.SplitHostPort(nodes[1].Addr)
	require.NoError(t, err)
	require.NoError(t, nodes[0].Do(t.Context(), nodes[0].B().ClusterMeet().Ip(host).Port(number(t, port)).Build()).Error())
	for _, n := range nodes {
		eventually(t, "a cluster", func() bool {
			info, err := n.Do(t.Context(), n.B().ClusterInfo().Build()).ToString()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		})
	}
	return nodes
}

// In a cluster each decision goes to the node that has its key, and follows it to another.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := cluster(t)
	goRedis := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[1].Addr}, ReadTimeout: patient})
	t.Cleanup(func() { _ = goRedis.Close() })
	for name, s := range map[string]*redisstore.Store{
		"own": newStore(t, redisstore.Config{URL: nodes[0].URL(), Prefix: "own"}), "goredis": newStore(t, redisstore.Config{GoRedis: goRedis, Prefix: "goredis"}),
	} {
		const keys = 40
		for i := range keys {
			r := request(t, strconv.Itoa(i), "3/day; 100 per 2 days")
			for n := range 5 {
				require.Equal(t, n < 3, take(t, s, r).Allowed, name)
			}
			refund(t, s, r)
			require.True(t, take(t, s, r).Allowed, name)
		}
		require.NotEmpty(t, keysOf(t, nodes[0], name))
		require.NotEmpty(t, keysOf(t, nodes[1], name))
		require.Equal(t, keys, len(keysOf(t, nodes[0], name))+len(keysOf(t, nodes[1], name)))

		// One node hangs. Calls that need the other one do not.
		hangs, works := nodes[0], nodes[1]
		require.NoError(t, hangs.Do(t.Context(), hangs.B().ClientPause().Timeout(3_600_000).Write().Build()).Error())
		var done atomic.Int64
		var wg sync.WaitGroup
		for i := range keys {
			r := request(t, strconv.Itoa(i), "3/day; 100 per 2 days")
			wg.Go(func() {
				_, err := s.Take(context.Background(), r)
				done.Add(1)
				if err != nil {
					t.Error(err)
				}
			})
		}
		healthy := int64(len(keysOf(t, works, name)))
		eventually(t, "those of the healthy node", func() bool { return done.Load() == healthy })
		require.NoError(t, hangs.Do(t.Context(), hangs.B().ClientUnpause().Build()).Error())
		wg.Wait()

		// The slot of a key moves to the other node, and the client learns of it from the answer.
		from, to := nodes[0], nodes[1]
		key := keysOf(t, from, name)[0]
		slot, err := from.Do(t.Context(), from.B().ClusterKeyslot().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		for _, key := range keysOf(t, from, name) { // what is left of the slot, too
			require.NoError(t, from.Do(t.Context(), from.B().Del().Key(key).Build()).Error())
		}
		for _, n := range []node{to, from} {
			require.NoError(t, n.Do(t.Context(), n.B().Arbitrary("CLUSTER", "SETSLOT", strconv.FormatInt(slot, 10), "NODE", to.id).Build()).Error())
		}
		for i := range keys {
			take(t, s, request(t, strconv.Itoa(i), "3/day; 100 per 2 days"))
		}
		require.Contains(t, keysOf(t, to, name), key)
	}
}

// keysOf are the keys of a store on a node.
func keysOf(t *testing.T, n node, prefix string) []string {
	t.Helper()
	keys, err := n.Do(t.Context(), n.B().Keys().Pattern(prefix+":*").Build()).AsStrSlice()
	require.NoError(t, err)
	return keys
}
