//! Datagram sockets for service notifications, with credentials and descriptors
//! ([sd_notify(3)](https://man7.org/linux/man-pages/man3/sd_notify.3.html),
//! [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
#![expect(unsafe_code, reason = "socket addresses and ancillary messages are untyped bytes")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::check;

/// The most descriptors that one message carries (`SCM_MAX_FD`).
const MAX_DESCRIPTORS: usize = 253;
/// Room for the largest ancillary data that we receive, as 64-bit words for alignment.
const CONTROL_WORDS: usize = (64 + 64 + 4 * MAX_DESCRIPTORS) / 8;

/// A socket that receives notifications.
#[derive(Debug)]
pub struct NotifySocket {
    socket: OwnedFd,
    address: Vec<u8>,
}

/// A notification.
#[derive(Debug)]
pub struct Message {
    /// How many bytes of the buffer it fills.
    pub length: usize,
    /// The effective uid of the sender, as the kernel vouches for it.
    pub sender_uid: u32,
    /// Descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

/// `struct sockaddr_un`.
#[repr(C)]
struct Address {
    family: libc::sa_family_t,
    path: [u8; 108],
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer; the result is a fresh descriptor.
    unsafe {
        let number =
            check(libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

impl NotifySocket {
    /// Opens a socket under an abstract name that the kernel chooses.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open() -> io::Result<Self> {
        let socket = socket()?;
        let yes: libc::c_int = 1;
        let mut address = Address { family: libc::AF_UNIX as libc::sa_family_t, path: [0; 108] };
        let mut length = size_of::<libc::sa_family_t>() as libc::socklen_t;
        // SAFETY: every length is that of the object whose address is passed with it.
        unsafe {
            let option = (&raw const yes).cast();
            let size = size_of_val(&yes) as libc::socklen_t;
            check(libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, option, size))?;
            check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length))?;
            length = size_of::<Address>() as libc::socklen_t;
            check(libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length))?;
        }
        let name = &address.path[1..length as usize - size_of::<libc::sa_family_t>()];
        Ok(Self { socket, address: [b"@", name].concat() })
    }

    /// Its address as `NOTIFY_SOCKET` has it: `@` and the abstract name.
    #[must_use]
    pub fn address(&self) -> &[u8] {
        &self.address
    }

    /// The next notification, or `None` when there is none now.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Message>> {
        let mut control = [0_u64; CONTROL_WORDS];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all-zero is a valid `msghdr`.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        // SAFETY: the header refers to live buffers of the lengths that it gives.
        let received = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        if received < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        let mut message = Message { length: received.unsigned_abs(), sender_uid: u32::MAX, descriptors: Vec::new() };
        // SAFETY: the CMSG macros walk the control buffer that the kernel has filled; data of
        // SCM_CREDENTIALS is a `ucred`, that of SCM_RIGHTS are descriptors that are now ours.
        unsafe {
            let mut item = libc::CMSG_FIRSTHDR(&raw const header);
            while !item.is_null() {
                let data = libc::CMSG_DATA(item);
                let length = (*item).cmsg_len - (data as usize - item as usize);
                match ((*item).cmsg_level, (*item).cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                        message.sender_uid = data.cast::<libc::ucred>().read_unaligned().uid;
                    }
                    (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                        for index in 0..length / size_of::<i32>() {
                            let number = data.cast::<i32>().add(index).read_unaligned();
                            message.descriptors.push(OwnedFd::from_raw_fd(number));
                        }
                    }
                    _ => {}
                }
                item = libc::CMSG_NXTHDR(&raw const header, item);
            }
        }
        Ok(Some(message))
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends a notification to `address`, a path or `@` and an abstract name.
///
/// # Errors
/// `EINVAL` for an address that is neither, else those of sendmsg(2).
pub fn send(address: &[u8], bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let mut name = Address { family: libc::AF_UNIX as libc::sa_family_t, path: [0; 108] };
    if !matches!(address.first(), Some(b'@' | b'/')) || address.len() >= name.path.len() {
        return Err(invalid());
    }
    name.path[..address.len()].copy_from_slice(address);
    if address[0] == b'@' {
        name.path[0] = 0;
    }
    let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    if numbers.len() > MAX_DESCRIPTORS {
        return Err(invalid());
    }
    let socket = socket()?;
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero is a valid `msghdr`; every length is that of the buffer beside it, and
    // the control buffer has room for MAX_DESCRIPTORS numbers.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = (size_of::<libc::sa_family_t>() + address.len()) as libc::socklen_t;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if !numbers.is_empty() {
            let size = size_of_val(numbers.as_slice()) as libc::c_uint;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let item = libc::CMSG_FIRSTHDR(&raw const header);
            (*item).cmsg_level = libc::SOL_SOCKET;
            (*item).cmsg_type = libc::SCM_RIGHTS;
            (*item).cmsg_len = libc::CMSG_LEN(size) as usize;
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), libc::CMSG_DATA(item), size as usize);
        }
        check(libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn messages_arrive_with_credentials_and_descriptors() {
        let socket = NotifySocket::open().unwrap();
        assert!(socket.address().starts_with(b"@"));
        let (mut reader, writer) = io::pipe().unwrap();
        send(socket.address(), b"FDSTORE=1", &[writer.into()]).unwrap();
        send(socket.address(), b"READY=1", &[]).unwrap();
        let mut buffer = [0; 100];
        let message = socket.receive(&mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..message.length], b"FDSTORE=1");
        assert_eq!(message.sender_uid, crate::process::effective_uid());
        let [descriptor] = <[OwnedFd; 1]>::try_from(message.descriptors).unwrap();
        File::from(descriptor).write_all(b"x").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        assert_eq!(socket.receive(&mut buffer).unwrap().unwrap().descriptors.len(), 0);
        assert_eq!(&buffer[..7], b"READY=1");
        assert!(socket.receive(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for address in [&b""[..], b"relative", &[b'/'; 200]] {
            assert_eq!(send(address, b"x", &[]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
    }
}
