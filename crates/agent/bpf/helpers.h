/*
 * What a BPF program may call, by number: bpf-helpers(7). Only what we use, so that the build needs clang and nothing
 * else. The numbers are kernel ABI.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline)) inline
/* Definitions of maps as the loader reads them from the type information. */
#define UINT(name, value) int(*name)[value]
#define TYPE(name, value) typeof(value) *name

static void *(*const map_lookup)(const void *map, const void *key) = (void *)1;
static long (*const map_update)(const void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const map_delete)(const void *map, const void *key) = (void *)3;
static u64 (*const get_pid_tgid)(void) = (void *)14;
static u64 (*const get_uid_gid)(void) = (void *)15;
static long (*const send_signal)(u32 signal) = (void *)109;
static long (*const read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const read_kernel_string)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*const boot_time_ns)(void) = (void *)125;
static void *(*const ring_reserve)(const void *ring, u64 size, u64 flags) = (void *)131;
static void (*const ring_submit)(void *data, u64 flags) = (void *)132;

enum {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_LRU_HASH = 9,
	MAP_RING = 27,
	UPDATE_ANY = 0,
	UPDATE_NEW = 1,
};

/* A field of a kernel object behind any pointer, moved by the loader to where this kernel has it. */
#define READ(object, field)                                                                                            \
	({                                                                                                             \
		typeof((object)->field) value_ = 0;                                                                    \
		read_kernel(&value_, sizeof(value_), &(object)->field);                                                \
		value_;                                                                                                \
	})
/* Where this kernel has a field, in bytes. */
#define OFFSET(type, field) __builtin_preserve_field_info(((type *)0)->field, 0)
/* Whether this kernel has a field. */
#define HAS(type, field) __builtin_preserve_field_info(((type *)0)->field, 2)
