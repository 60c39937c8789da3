package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prusik-go/prusik/internal/bench"
)

// What the memory of a limiter may take, in bytes a key, and the dearest decisions in a flood of keys in relation to the first.
const (
	mostLive, mostAfter = 72, 1
	mostChurn           = 1.5
)

// limiters measures what is no scenario of its own: what keys take of memory, and what a flood of them does.
func limiters(match string) (page string, broken bool, err error) {
	var w strings.Builder
	if ok, err := matches(match, bench.FootprintName); err != nil {
		return "", false, err
	} else if ok {
		fmt.Fprintln(os.Stderr, bench.FootprintName)
		exceeded, err := footprints(&w)
		if err != nil {
			return "", false, err
		}
		broken = broken || exceeded
	}
	if ok, err := matches(match, bench.ChurnName); err != nil {
		return "", false, err
	} else if ok {
		fmt.Fprintln(os.Stderr, bench.ChurnName)
		exceeded, err := churn(&w)
		if err != nil {
			return "", false, err
		}
		broken = broken || exceeded
	}
	return w.String(), broken, nil
}

func footprints(w *strings.Builder) (broken bool, err error) {
	const keys, period = 1_000_000, 15 * time.Second
	all, err := bench.Footprints(keys, period)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(w, "**Heap of a limiter with %d keys, in bytes a key**\n\n| | live | after expiry |\n|---|--:|--:|\n", keys)
	for _, f := range all {
		fmt.Fprintf(w, "| %s | %.1f | %.2f |\n", f.Name, f.Live, f.After)
		if f.Name == bench.PrusikLimit {
			broken = f.Live > mostLive || f.After >= mostAfter
		}
	}
	fmt.Fprintf(w, "\n%s may take %d, and less than %d after expiry: %s.\n\n", bench.PrusikLimit, mostLive, mostAfter, verdict(broken))
	return broken, nil
}

func churn(w *strings.Builder) (broken bool, err error) {
	const maxKeys, step, steps = 100_000, 500_000, 20
	all, err := bench.Churn(maxKeys, step, steps)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(w, "**%d keys through a limiter that has room for %d**\n\n| keys | CPU of a decision | admitted | keys held | heap |\n|--:|--:|--:|--:|--:|\n",
		step*steps, maxKeys)
	for i, s := range all {
		if i == 0 || (i+1)%4 == 0 {
			fmt.Fprintf(w, "| %d | %v | %.0f %% | %d | %.1f MB |\n", s.Keys, s.CPU, 100*s.Admitted, s.Held, s.Heap/1e6)
		}
	}
	for _, s := range all {
		broken = broken || float64(s.CPU) > mostChurn*float64(all[0].CPU) || s.Heap > 1.1*all[0].Heap
	}
	fmt.Fprintf(w, "\nIn steps of %d keys none may take %.1f times the CPU of the first or a tenth more heap: %s. Somebody whose bucket was empty "+
		"before asked %d times meanwhile and was never let through.\n\n", step, mostChurn, verdict(broken), 100*steps)
	return broken, nil
}

func verdict(broken bool) string {
	if broken {
		return "**fail**"
	}
	return "pass"
}
