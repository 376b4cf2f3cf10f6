/* kill_at N COMMAND...: runs a command and kills the process of its tree that enters or leaves
 * the N-th system call, counted over the whole tree. Prints how many there were; with N = 0, or
 * beyond the last, nothing is killed. Exit status 0 unless the tracing itself fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    long at = atol(argv[1]), count = 0;
    pid_t first = fork();
    if (first < 0)
        return 2;
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    if (waitpid(first, &status, 0) != first || !WIFSTOPPED(status))
        return 2;
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, first, 0, options) != 0 || ptrace(PTRACE_SYSCALL, first, 0, 0) != 0)
        return 2;
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (!WIFSTOPPED(status))
            continue;
        int number = WSTOPSIG(status);
        int deliver = 0;
        if (number == (SIGTRAP | 0x80)) {
            count++;
            if (count == at) {
                kill(pid, SIGKILL);
                continue;
            }
        } else if (status >> 16 == 0 && number != SIGSTOP && number != SIGTRAP) {
            deliver = number;
        }
        ptrace(PTRACE_SYSCALL, pid, 0, (long)deliver);
    }
    printf("%ld\n", count);
    return 0;
}
