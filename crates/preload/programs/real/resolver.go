// Name resolution by the C library in one goroutine, changes of the environment in another.
package main

/*
#include <stdlib.h>
#include <string.h>
// Memory that was used and given back: the array of libc grows into it.
static void use_memory(void)
{
	void *some[4];
	for (int at = 0; at < 4; at++)
		memset(some[at] = malloc(20000), 0xfb, 20000);
	for (int at = 0; at < 4; at++)
		free(some[at]);
}
*/
import "C"

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	end := time.Now().Add(5 * time.Second)
	for at := 0; at < 2; at++ {
		go func() {
			for {
				net.DefaultResolver.LookupHost(context.Background(), "localhost")
			}
		}()
	}
	for time.Now().Before(end) {
		for at := 0; at < 1000; at++ {
			os.Setenv(fmt.Sprintf("GROW_%d", at), "value")
			if at%50 == 0 {
				C.use_memory()
			}
		}
		for at := 0; at < 1000; at++ {
			os.Unsetenv(fmt.Sprintf("GROW_%d", at))
		}
	}
}
