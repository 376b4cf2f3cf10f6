/*
 * envward's agent in the kernel. The license is what the kernel wants to be told before it lends its helpers.
 */
#include "detect.h"
#include "lineage.h"
#include "procfs.h"
#include "system.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Every open, by whatever call: open, openat2, io_uring, 32-bit. */
SEC("lsm/file_open")
int file_open(u64 *context)
{
	struct file *file = (void *)context[0];

	if (file->f_inode->i_sb->s_magic != PROC_SUPER_MAGIC) {
		if (file->f_mode & FMODE_WRITE && is_preload(file->f_path.dentry))
			return judge_kernel(ROUTE_PRELOAD, HOOK_FILE_OPEN, 0);
		return 0;
	}
	return judge_procfs(file, HOOK_FILE_OPEN, file->f_mode & FMODE_WRITE);
}

/* Every read and write, for descriptors that were opened before, by somebody else, or of what is protected since. */
SEC("lsm/file_permission")
int file_permission(u64 *context)
{
	struct file *file = (void *)context[0];

	if (file->f_inode->i_sb->s_magic != PROC_SUPER_MAGIC)
		return 0;
	return judge_procfs(file, HOOK_FILE_PERMISSION, context[1] & 2);
}

/* Everything that the kernel itself takes for looking into another process. */
SEC("lsm/ptrace_access_check")
int ptrace_access_check(u64 *context)
{
	struct task_struct *target = (void *)context[0];
	u32 mode = context[1], route = ROUTE_ACCESS;
	u64 call = ~0ULL;

#if defined(__TARGET_ARCH_x86)
	if (!(current_task()->flags & PF_IO_WORKER))
		call = task_registers(current_task())->orig_ax;
	switch (call) {
	case 101:
		route = ROUTE_PTRACE;
		break;
	case 310:
		route = ROUTE_VM_READ;
		break;
	case 311:
		route = ROUTE_VM_WRITE;
		break;
	case 438:
		route = ROUTE_PIDFD_GETFD;
		break;
	case 312:
		route = ROUTE_KCMP;
		break;
	case 440:
		route = ROUTE_MADVISE;
		break;
	case 4:
	case 6:
	case 89:
	case 262:
	case 267:
	case 332:
		/* stat and readlink of exe, cwd, fd: names, not contents. Journals and service managers do it. */
		if (!(mode & PTRACE_MODE_ATTACH))
			return 0;
		break;
	case 2:
	case 257:
	case 437:
		route = ROUTE_LINK;
		break;
	}
#endif
	if ((route == ROUTE_LINK || route == ROUTE_ACCESS) && has_passed(target))
		return 0;
	return judge(target, route, HOOK_PTRACE_ACCESS, mode, !(mode & PTRACE_MODE_NOAUDIT));
}

/* A protected process that gives itself into its parent's hands. */
SEC("lsm/ptrace_traceme")
int ptrace_traceme(u64 *context)
{
	struct task_struct *parent = (void *)context[0];
	struct settings *now = configured();
	struct entry *own = own_entry(), *above;
	u32 id = READ(parent, tgid);

	if (!now || !own)
		return 0;
	above = map_lookup(&protected, &id);
	if (above && above->roles & ROLE_SUPERVISOR && above->tree == own->tree)
		return 0;
	return verdict_on(now, ROUTE_TRACEME, HOOK_PTRACE_TRACEME, 0, parent, 1);
}

/* More protected processes than there is room for are not started. */
SEC("lsm/task_alloc")
int task_alloc(u64 *context)
{
	u32 entries = COUNTER_ENTRIES;
	struct settings *now;
	u64 *number;

	if (context[1] & 0x10000 /* CLONE_THREAD */ || !own_entry())
		return 0;
	number = map_lookup(&counters, &entries);
	now = configured();
	if (!number || !now || *number < ENTRIES_MAX - 256)
		return 0;
	verdict_on(now, ROUTE_FORK_LIMIT, HOOK_TASK_ALLOC, *number, 0, 1);
	return -EAGAIN;
}
