// Copyright 2026 the baozi authors. MIT license.

// The same work in Go, for `deno task bench`; run it with GOMAXPROCS=1, as one core does the work in
// JavaScript too.
//
//	bench work ROUNDS MS    a line of JSON per case: its ids and what each round took, ns per operation
//	bench echo              an echo server: prints its port, then answers each line with what it has used
//
// Every batch checks its sum. The ids and the sizes are those of scripts/bench/cases.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A case does size operations per batch. It is the same work as several rows where those differ only
// by what surrounds it: in Go everything runs in goroutines.
type benchCase struct {
	ids  []string
	size int
	run  func(size int)
}

var cases = []benchCase{
	{[]string{"ping-pong"}, 5_000, pingPong},
	{[]string{"send-receive-0", "send-receive-0-tasks"}, 5_000, sendReceive(0)},
	{[]string{"send-receive-1", "send-receive-1-tasks"}, 5_000, sendReceive(1)},
	{[]string{"send-receive-64", "send-receive-64-tasks"}, 5_000, sendReceive(64)},
	{[]string{"for-await-0", "for-await-0-tasks"}, 5_000, forRange(0)},
	{[]string{"for-await-1", "for-await-1-tasks"}, 5_000, forRange(1)},
	{[]string{"for-await-64", "for-await-64-tasks"}, 5_000, forRange(64)},
	{[]string{"fan-100-1"}, 10_000, fan(100, 1)},
	{[]string{"fan-1-100"}, 10_000, fan(1, 100)},
	{[]string{"fan-100-100"}, 10_000, fan(100, 100)},
	{[]string{"select-2"}, 2_000, selectOfTwo},
	{[]string{"select-8"}, 1_000, selectOfEight},
	{[]string{"select-64"}, 1_000, selectOfMany(64)},
	{[]string{"spawn-join-1"}, 1_000, spawnJoinOne},
	{[]string{"spawn-join-1000", "spawn-join-sync-1000"}, 1_000, spawnJoin},
	{[]string{"spawn-join-100000"}, 100_000, spawnJoin},
	{[]string{"pool-map"}, 100_000, poolMap},
	{[]string{"pool-imap"}, 100_000, poolImap},
	{[]string{"pool-imap-1000"}, 1_000, poolImap},
	{[]string{"pool-imap-unordered"}, 100_000, poolImapUnordered},
	{[]string{"pipeline", "pipeline-map"}, 2_000, pipeline},
	{[]string{"semaphore", "semaphore-in-tasks"}, 5_000, semaphore},
	{[]string{"mutex"}, 5_000, mutex},
	{[]string{"queue", "queue-in-tasks"}, 5_000, queue},
	{[]string{"kill-1000"}, 1_000, kill},
	{[]string{"kill-100000"}, 100_000, kill},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "echo" {
		echo()
		return
	}
	if len(os.Args) != 4 || os.Args[1] != "work" {
		fail("Cannot run the benchmark: the arguments must be work ROUNDS MS, or echo")
	}
	rounds, _ := strconv.Atoi(os.Args[2])
	ms, _ := strconv.Atoi(os.Args[3])
	took := make([][]float64, len(cases))
	// The first round warms up. Rounds go over all cases, so that a slow second hits one round alone.
	for round := -1; round < rounds; round++ {
		for i, it := range cases {
			ns := measure(it, time.Duration(ms)*time.Millisecond)
			if round >= 0 {
				took[i] = append(took[i], ns)
			}
		}
	}
	for i, it := range cases {
		print(map[string]any{"ids": it.ids, "ns": took[i]})
	}
}

// measure repeats the batch for at least the given time and gives ns per operation.
func measure(it benchCase, least time.Duration) float64 {
	runtime.GC()
	start := time.Now()
	batches := 0
	for batches == 0 || time.Since(start) < least {
		it.run(it.size)
		batches++
	}
	return float64(time.Since(start).Nanoseconds()) / float64(batches*it.size)
}

func sendReceive(capacity int) func(int) {
	return func(size int) {
		ch := make(chan int, capacity)
		go sendAll(ch, size)
		sum := 0
		for i := 0; i < size; i++ {
			sum += <-ch
		}
		check(sum, sumBelow(size))
	}
}

func forRange(capacity int) func(int) {
	return func(size int) {
		ch := make(chan int, capacity)
		go sendAll(ch, size)
		sum := 0
		for value := range ch {
			sum += value
		}
		check(sum, sumBelow(size))
	}
}

func sendAll(ch chan<- int, size int) {
	for i := 0; i < size; i++ {
		ch <- i
	}
	close(ch)
}

func pingPong(size int) {
	a, b, sums := make(chan int, 1), make(chan int, 1), make(chan int, 2)
	play := func(inbox <-chan int, outbox chan<- int, first int) {
		sum := 0
		for i := first; i < size; i += 2 {
			value := <-inbox
			sum += value
			outbox <- value + 1
		}
		sums <- sum
	}
	a <- 0
	go play(a, b, 0)
	go play(b, a, 1)
	check(<-sums+<-sums, sumBelow(size))
}

func fan(senders, receivers int) func(int) {
	return func(size int) {
		ch, sums := make(chan int, 64), make(chan int, receivers)
		each, share := size/senders, size/receivers
		for sender := 0; sender < senders; sender++ {
			go func(first int) {
				for i := first; i < first+each; i++ {
					ch <- i
				}
			}(sender * each)
		}
		for receiver := 0; receiver < receivers; receiver++ {
			go func() {
				sum := 0
				for i := 0; i < share; i++ {
					sum += <-ch
				}
				sums <- sum
			}()
		}
		sum := 0
		for receiver := 0; receiver < receivers; receiver++ {
			sum += <-sums
		}
		check(sum, sumBelow(size))
	}
}

// deal sends the numbers below size to the channels in turn.
func deal(channels []chan int, size int) {
	for i := 0; i < size; i++ {
		channels[i%len(channels)] <- i
	}
}

func channelsOf(count int) []chan int {
	channels := make([]chan int, count)
	for i := range channels {
		channels[i] = make(chan int)
	}
	return channels
}

func selectOfTwo(size int) {
	ch := channelsOf(2)
	go deal(ch, size)
	sum := 0
	for i := 0; i < size; i++ {
		select {
		case value := <-ch[0]:
			sum += value
		case value := <-ch[1]:
			sum += value
		}
	}
	check(sum, sumBelow(size))
}

func selectOfEight(size int) {
	ch := channelsOf(8)
	go deal(ch, size)
	sum := 0
	for i := 0; i < size; i++ {
		select {
		case value := <-ch[0]:
			sum += value
		case value := <-ch[1]:
			sum += value
		case value := <-ch[2]:
			sum += value
		case value := <-ch[3]:
			sum += value
		case value := <-ch[4]:
			sum += value
		case value := <-ch[5]:
			sum += value
		case value := <-ch[6]:
			sum += value
		case value := <-ch[7]:
			sum += value
		}
	}
	check(sum, sumBelow(size))
}

// selectOfMany is for a number of channels that the code does not know.
func selectOfMany(count int) func(int) {
	return func(size int) {
		ch := channelsOf(count)
		selectable := make([]reflect.SelectCase, count)
		for i := range selectable {
			selectable[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch[i])}
		}
		go deal(ch, size)
		sum := 0
		for i := 0; i < size; i++ {
			_, value, _ := reflect.Select(selectable)
			sum += int(value.Int())
		}
		check(sum, sumBelow(size))
	}
}

func spawnJoin(size int) {
	results := make([]int, size)
	var group sync.WaitGroup
	group.Add(size)
	for i := 0; i < size; i++ {
		go func(i int) {
			results[i] = i
			group.Done()
		}(i)
	}
	group.Wait()
	check(sumOf(results), sumBelow(size))
}

func spawnJoinOne(size int) {
	result := make(chan int)
	sum := 0
	for i := 0; i < size; i++ {
		go func(i int) { result <- i }(i)
		sum += <-result
	}
	check(sum, sumBelow(size))
}

const width = 16

// work is what is done with each item of a pool: others run once meanwhile.
func work(item int) int {
	runtime.Gosched()
	return item
}

// poolMap has workers that share the items; each result has its place.
func poolMap(size int) {
	items, results := make(chan int, width), make([]int, size)
	var group sync.WaitGroup
	group.Add(width)
	for i := 0; i < width; i++ {
		go func() {
			for item := range items {
				results[item] = work(item)
			}
			group.Done()
		}()
	}
	sendAll(items, size)
	group.Wait()
	check(sumOf(results), sumBelow(size))
}

// poolImap has a channel of the results that are under way, in order.
func poolImap(size int) {
	underWay := make(chan chan int, width)
	go func() {
		for i := 0; i < size; i++ {
			result := make(chan int, 1)
			underWay <- result
			go func(i int) { result <- work(i) }(i)
		}
		close(underWay)
	}()
	sum, next := 0, 0
	for result := range underWay {
		value := <-result
		check(value, next)
		sum += value
		next++
	}
	check(sum, sumBelow(size))
}

// poolImapUnordered has workers between two channels.
func poolImapUnordered(size int) {
	items, results := make(chan int, width), make(chan int, width)
	var group sync.WaitGroup
	group.Add(width)
	for i := 0; i < width; i++ {
		go func() {
			for item := range items {
				results <- work(item)
			}
			group.Done()
		}()
	}
	go sendAll(items, size)
	go func() {
		group.Wait()
		close(results)
	}()
	sum := 0
	for value := range results {
		sum += value
	}
	check(sum, sumBelow(size))
}

const (
	stages        = 4
	stageCapacity = 16
)

func pipeline(size int) {
	var stream <-chan int
	source := make(chan int, stageCapacity)
	go sendAll(source, size)
	stream = source
	for i := 0; i < stages; i++ {
		stream = stage(stream)
	}
	sum := 0
	for value := range stream {
		sum += value
	}
	check(sum, sumBelow(size)+size*stages)
}

func stage(input <-chan int) <-chan int {
	output := make(chan int, stageCapacity)
	go func() {
		for value := range input {
			output <- value + 1
		}
		close(output)
	}()
	return output
}

const (
	workers = 100
	permits = 10
)

// semaphore is a channel with a place per permit, as in Effective Go.
func semaphore(size int) {
	places := make(chan struct{}, permits)
	guarded(size, func(entered *int) {
		places <- struct{}{}
		*entered++ // one core: no two goroutines run at once
		runtime.Gosched()
		<-places
	})
}

func mutex(size int) {
	var lock sync.Mutex
	guarded(size, func(entered *int) {
		lock.Lock()
		*entered++
		runtime.Gosched()
		lock.Unlock()
	})
}

func guarded(size int, hold func(entered *int)) {
	entered, each := 0, size/workers
	var group sync.WaitGroup
	group.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			for i := 0; i < each; i++ {
				hold(&entered)
			}
			group.Done()
		}()
	}
	group.Wait()
	check(entered, size)
}

func queue(size int) {
	const sides = 10
	ch, sums := make(chan int, 16), make(chan int, sides)
	each := size / sides
	for side := 0; side < sides; side++ {
		go func(first int) {
			for i := first; i < first+each; i++ {
				ch <- i
			}
		}(side * each)
		go func() {
			sum := 0
			for i := 0; i < each; i++ {
				sum += <-ch
			}
			sums <- sum
		}()
	}
	sum := 0
	for side := 0; side < sides; side++ {
		sum += <-sums
	}
	check(sum, sumBelow(size))
}

// kill starts goroutines, each with a context of its own, lets all of them park, and cancels each.
func kill(size int) {
	parked, cleaned := 0, 0
	var parking, ended sync.WaitGroup
	parking.Add(size)
	ended.Add(size)
	cancels := make([]context.CancelFunc, size)
	for i := range cancels {
		ctx, cancel := context.WithCancel(context.Background())
		cancels[i] = cancel
		go func() {
			parked++
			parking.Done()
			<-ctx.Done()
			cleaned++
			ended.Done()
		}()
	}
	parking.Wait()
	check(parked, size)
	for _, cancel := range cancels {
		cancel()
	}
	ended.Wait()
	check(cleaned, size)
}

// echo speaks the protocol of scripts/load/server.ts.
func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	print(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		print(used())
	}
}

func serve(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func used() map[string]any {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err.Error())
	}
	cpu := (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
	return map[string]any{"rss": usage.Maxrss * 1024, "cpu": cpu, "connections": -1}
}

func sumBelow(count int) int {
	return count * (count - 1) / 2
}

func sumOf(values []int) int {
	sum := 0
	for _, value := range values {
		sum += value
	}
	return sum
}

func check(got, expected int) {
	if got != expected {
		fail(fmt.Sprintf("Cannot count batch: its sum must be %d, got %d", expected, got))
	}
}

func print(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(text))
}

func fail(message string) {
	io.WriteString(os.Stderr, message+"\n")
	os.Exit(1)
}
