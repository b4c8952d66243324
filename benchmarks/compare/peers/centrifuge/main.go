// The smallest server on Centrifuge, the library that Centrifugo is made of: rooms whose history is replayed,
// everybody may publish. What a flag does not name is as Centrifugo sets it by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/centrifugal/centrifuge"
)

const library = "github.com/centrifugal/centrifuge"

type settings struct {
	listen, redis                        string
	history, queue, frameMax, batchMax   int
	historyFor, writeDelay, batchDelay   time.Duration
	writeTimer, offReadLoop, bufferPool  bool
	replyAtOnce                          bool
	sharedPosition, singleFlight, showIt bool
}

func parse() settings {
	var s settings
	flag.BoolVar(&s.showIt, "version", false, "print the library's version")
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8000", "where to listen")
	flag.StringVar(&s.redis, "redis", "", "address of a Redis that keeps history and passes events on; else memory")
	flag.IntVar(&s.history, "history", 100_000, "events kept in a room")
	flag.DurationVar(&s.historyFor, "history-for", time.Hour, "how long they are kept")
	flag.IntVar(&s.queue, "queue", 1<<20, "bytes that may wait for one connection")
	flag.DurationVar(&s.writeDelay, "write-delay", 0, "how long a connection collects messages")
	flag.BoolVar(&s.writeTimer, "write-timer", false, "collect with a timer in place of a goroutine")
	flag.IntVar(&s.frameMax, "frame-max", 0, "messages in one frame, -1 for no limit, 0 for the library's default")
	flag.DurationVar(&s.batchDelay, "batch-delay", 0, "how long a channel collects messages")
	flag.IntVar(&s.batchMax, "batch-max", 0, "messages a channel collects, 0 for no limit")
	flag.BoolVar(&s.offReadLoop, "off-read-loop", false, "process commands outside the read loop: smaller stacks")
	flag.BoolVar(&s.bufferPool, "buffer-pool", false, "pool the write buffers of connections")
	flag.BoolVar(&s.replyAtOnce, "reply-at-once", false, "replies to commands don't wait for the write delay")
	flag.BoolVar(&s.sharedPosition, "shared-position", false, "check positions once per channel")
	flag.BoolVar(&s.singleFlight, "single-flight", false, "join history reads that happen at once")
	flag.Parse()
	return s
}

func libraryVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == library {
			return module.Version
		}
	}
	return "unknown"
}

func newNode(s settings) (*centrifuge.Node, error) {
	config := centrifuge.Config{
		ClientQueueMaxSize: s.queue,
		UseSingleFlight:    s.singleFlight,
		LogLevel:           centrifuge.LogLevelWarn,
		LogHandler:         func(entry centrifuge.LogEntry) { log.Println(entry.Message, entry.Fields) },
	}
	if s.sharedPosition {
		medium := centrifuge.ChannelMediumOptions{SharedPositionSync: true}
		config.GetChannelMediumOptions = func(string) centrifuge.ChannelMediumOptions { return medium }
	}
	if s.batchDelay > 0 {
		batch := centrifuge.ChannelBatchConfig{MaxSize: int64(s.batchMax), MaxDelay: s.batchDelay}
		config.GetChannelBatchConfig = func(string) centrifuge.ChannelBatchConfig { return batch }
	}
	node, err := centrifuge.New(config)
	if err == nil && s.redis != "" {
		err = useRedis(node, s.redis)
	}
	return node, err
}

func useRedis(node *centrifuge.Node, address string) error {
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: address})
	if err != nil {
		return err
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
		Shards: []*centrifuge.RedisShard{shard},
	})
	if err == nil {
		node.SetBroker(broker)
	}
	return err
}

func handle(node *centrifuge.Node, s settings) {
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:        &centrifuge.Credentials{},
			WriteDelay:         s.writeDelay,
			WriteWithTimer:     s.writeTimer,
			MaxMessagesInFrame: s.frameMax,
			ReplyWithoutQueue:  s.replyAtOnce,
		}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			options := centrifuge.SubscribeOptions{EnableRecovery: true, EnablePositioning: true}
			reply(centrifuge.SubscribeReply{Options: options}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			options := centrifuge.PublishOptions{HistorySize: s.history, HistoryTTL: s.historyFor}
			reply(centrifuge.PublishReply{Options: options}, nil)
		})
	})
}

func serve(ctx context.Context, s settings) error {
	node, err := newNode(s)
	if err != nil {
		return err
	}
	handle(node, s)
	if err := node.Run(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		UseWriteBufferPool:         s.bufferPool,
		ProcessCommandsOffReadLoop: s.offReadLoop,
	}))
	server := &http.Server{Addr: s.listen, Handler: mux}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return node.Shutdown(ending)
}

func main() {
	s := parse()
	if s.showIt {
		fmt.Println("centrifuge", libraryVersion())
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, s); err != nil {
		log.Println(err)
		os.Exit(1)
	}
}
