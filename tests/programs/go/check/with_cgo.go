//go:build cgo

package main

// #include <stdlib.h>
import "C"

import "unsafe"

// libcAgrees compares with what C code in the same process gets.
func libcAgrees(name, value string) bool {
	key := C.CString(name)
	defer C.free(unsafe.Pointer(key))
	text := C.getenv(key)
	return text != nil && C.GoString(text) == value
}
