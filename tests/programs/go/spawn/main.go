// spawn PROGRAM ARGUMENT...: starts it from many goroutines at once, and holds.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
)

func main() {
	var group sync.WaitGroup
	var seen int32
	for i := 0; i < 60; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			output, err := exec.Command(os.Args[1], os.Args[2:]...).Output()
			if err == nil && string(output) == "seen\n" {
				atomic.AddInt32(&seen, 1)
			} else {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	group.Wait()
	fmt.Println(seen, "children have seen it")
	io.Copy(io.Discard, os.Stdin)
}
