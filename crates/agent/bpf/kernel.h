/*
 * The fields of kernel objects that we look at. Names must be the kernel's; places are found by the loader, which
 * compares these types with those of the running kernel (CO-RE), so nothing else of a structure has to be here.
 */
#pragma once

#include "helpers.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct inode {
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct qstr {
	const u8 *name;
};

struct vfsmount {
	struct super_block *mnt_sb;
};

struct dentry {
	struct super_block *d_sb;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	struct inode *f_inode;
	struct path f_path;
};

struct cred {
	kuid_t uid;
	kgid_t gid;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[1];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	u32 ptrace;
	struct files_struct *files;
	u32 flags;
	s32 pid;
	s32 tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct hlist_node pid_links[1];
	u64 start_boottime;
	struct mm_struct *mm;
	struct cred *cred;
	struct css_set *cgroups;
	struct signal_struct *signal;
	void *stack;
	char comm[16];
};

struct pid {
	struct hlist_head tasks[1];
};

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long orig_ax;
	unsigned long di;
	unsigned long si;
};
#endif

#pragma clang attribute pop

static struct task_struct *(*const current_task)(void) = (void *)158;
static struct pt_regs *(*const task_registers)(struct task_struct *task) = (void *)175;

enum {
	PROC_SUPER_MAGIC = 0x9fa0,
	BPF_FS_MAGIC = 0xcafe4a11,
	FMODE_READ = 1,
	FMODE_WRITE = 2,
	PF_IO_WORKER = 0x10,
	EPERM = 1,
	EAGAIN = 11,
	EEXIST = 17,
	ENOSYS = 38,
	PTRACE_MODE_READ = 1,
	PTRACE_MODE_ATTACH = 2,
	PTRACE_MODE_NOAUDIT = 4,
};
