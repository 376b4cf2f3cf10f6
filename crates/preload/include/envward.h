/* envward.h: the functions that libenvward adds to those of the C library.
 *
 * Generated from api.txt by `cargo xtask header`; do not edit. */
#ifndef ENVWARD_H
#define ENVWARD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An iteration over the environment. */
typedef struct envward_iter ENV_ITER;

/**
 * Find a variable and hold its string.
 *
 * Finds the variable name and returns its string, of the form NAME=value. The string
 * stays as it is and where it is until it is given to env_release, putenv or
 * env_replace_all, whatever happens to the variable meanwhile. It must not be changed.
 *
 * A string that the program put into the environment with putenv may be changed by its
 * owner at any time; of such a one a private copy is returned.
 *
 * Async-signal-safe. Takes no lock; allocates only for such a copy, from memory of the
 * library.
 * Returns the string, or a null pointer if there is no such variable, name is null, empty
 * or contains =, or there is no memory for a copy.
 */
const char *env_lookup(const char *name);

/**
 * Give a string of the environment back.
 *
 * Gives back a string that env_lookup or env_next returned. Each returned string is given
 * back once; a string that was returned twice is given back twice. Any thread may do it.
 * A null pointer is ignored. Anything else is undefined.
 *
 * Async-signal-safe.
 */
void env_release(const char *entry);

/**
 * Replace the whole environment at one instant.
 *
 * Replaces the environment by the strings in envp, an array that ends with a null
 * pointer. Every reader, also one that walks environ, sees either the old or the new one.
 *
 * The array must have been allocated with malloc. Each string must be one that env_lookup
 * or env_next returned and that was not given back yet, which is thereby given back, or
 * one allocated with malloc, which is copied and freed. A null envp stands for no
 * variables.
 * ENOMEM: there is no memory: nothing was changed, and everything still belongs to the
 * caller. To see this, set errno to 0 before the call.
 */
void env_replace_all(const char **envp);

/**
 * Iterate over the environment.
 *
 * Begins an iteration over the environment as it is at this instant. Changes made during
 * the iteration, by any thread, this one included, are not seen by it; they are allowed,
 * at variance with the draft, and nothing can deadlock. The iteration may be used by any
 * thread, one at a time.
 *
 * While an iteration is open the library uses no memory again that it gave up. Close it.
 * Returns an iteration for env_next and env_iter_close, or a null pointer with errno set
 * to ENOMEM.
 */
ENV_ITER *env_iter(void);

/**
 * The next string of an iteration.
 *
 * Returns the next variable of an iteration, of the form NAME=value. The string must be
 * given back with env_release, putenv or env_replace_all; it may outlive the iteration.
 * Entries of the array environ without = are left out.
 * Returns the string, or a null pointer at the end and whenever it is called after it.
 */
const char *env_next(ENV_ITER *iter);

/**
 * End an iteration over the environment.
 *
 * Ends an iteration, which need not have come to its end. Strings that were returned by
 * env_next and not given back stay valid until they are. A null pointer is ignored.
 */
void env_iter_close(ENV_ITER *iter);

/**
 * Copy the value of a variable.
 *
 * Copies the value of the variable name, with its terminator, to the len bytes at buf, as
 * on NetBSD.
 *
 * Async-signal-safe.
 * Returns 0, or -1 with errno set.
 * ENOENT: there is no such variable.
 * ERANGE: the value does not fit; buf was not written.
 */
int getenv_r(const char *name, char *buf, size_t len);

#ifdef __cplusplus
}
#endif

#endif
