//! What the atomics of the crate call in tests: nothing, a scheduler, or a "handler".

use std::boxed::Box;
use std::cell::{Cell, RefCell};

std::thread_local! {
    /// Whether the thread runs under shuttle.
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };
    /// Whether the running task cannot go on before another one does.
    static WAITING: Cell<bool> = const { Cell::new(false) };
    /// Accesses until the handler runs, and the handler.
    static COUNTDOWN: Cell<usize> = const { Cell::new(0) };
    static HANDLER: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// Called before every access to shared memory.
pub(crate) fn point() {
    if SCHEDULED.get() {
        shuttle::thread::yield_now();
        return;
    }
    let left = COUNTDOWN.get();
    if left > 0 {
        COUNTDOWN.set(left - 1);
        if left == 1
            && let Some(handler) = HANDLER.take()
        {
            handler();
        }
    }
}

/// The identity of a task under shuttle.
pub(crate) fn thread_id() -> Option<usize> {
    SCHEDULED.get().then(|| (usize::from(shuttle::current::me()) + 1) * 16)
}

/// Called instead of sleeping on the lock; whether it was.
pub(crate) fn wait() -> bool {
    if !SCHEDULED.get() {
        return false;
    }
    WAITING.set(true);
    shuttle::thread::yield_now();
    true
}

/// Whether the task that yields waits for the lock.
pub(crate) fn take_waiting() -> bool {
    WAITING.take()
}

/// Runs a program whose threads are scheduled at every access.
pub(crate) fn scheduled(program: impl FnOnce()) {
    SCHEDULED.set(true);
    program();
    SCHEDULED.set(false);
}

/// Runs `body`, and `handler` at its access number `at`; whether it came to that.
pub(crate) fn interrupted(at: usize, handler: impl FnOnce() + 'static, body: impl FnOnce()) -> bool {
    HANDLER.set(Some(Box::new(handler)));
    COUNTDOWN.set(at);
    body();
    COUNTDOWN.set(0);
    HANDLER.take().is_none()
}
