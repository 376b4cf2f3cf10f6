/*
 * What the programs share with the loader and with each other.
 */
#pragma once

#include "shared.h"

/* Protected processes by their id in the initial PID namespace. */
struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, ENTRIES_MAX);
	TYPE(key, u32);
	TYPE(value, struct entry);
} protected SEC(".maps");

/* Executables that are trusted with something. */
struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, 1024);
	TYPE(key, struct identity);
	TYPE(value, struct permit);
} trusted_exe SEC(".maps");

/* Users and cgroups that are trusted with something: enum trust. */
struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, 256);
	TYPE(key, u32);
	TYPE(value, u32);
} trusted_uid SEC(".maps");

struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, 256);
	TYPE(key, u64);
	TYPE(value, u32);
} trusted_cgroup SEC(".maps");

/* Cgroups and executables all of whose processes are protected. */
struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, 256);
	TYPE(key, u64);
	TYPE(value, u32);
} protected_cgroup SEC(".maps");

struct {
	UINT(type, MAP_HASH);
	UINT(max_entries, 256);
	TYPE(key, struct identity);
	TYPE(value, u32);
} protected_exe SEC(".maps");

struct {
	UINT(type, MAP_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct settings);
} settings SEC(".maps");

struct {
	UINT(type, MAP_ARRAY);
	UINT(max_entries, COUNTERS);
	TYPE(key, u32);
	TYPE(value, u64);
} counters SEC(".maps");

struct {
	UINT(type, MAP_RING);
	UINT(max_entries, RING_BYTES);
} events SEC(".maps");

/* How many processes' environments a reader has opened lately. */
struct sweep {
	u64 since;
	u32 last;
	u32 targets;
};

struct {
	UINT(type, MAP_LRU_HASH);
	UINT(max_entries, 4096);
	TYPE(key, u32);
	TYPE(value, struct sweep);
} sweeps SEC(".maps");

/* Threads that were let through to a file of a process, by which the kernel asks once more: thread, process. */
struct {
	UINT(type, MAP_LRU_HASH);
	UINT(max_entries, 4096);
	TYPE(key, u32);
	TYPE(value, u32);
} let_through SEC(".maps");

INLINE u64 count(u32 counter)
{
	u64 *value = map_lookup(&counters, &counter);

	return value ? __sync_fetch_and_add(value, 1) : 0;
}

INLINE struct settings *configured(void)
{
	u32 zero = 0;

	return map_lookup(&settings, &zero);
}
