//! Tries on sockets: receives and sends what can be at once, and never waits, whatever the descriptor is set to.

use std::ffi::c_int;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;
use std::ptr;

/// How many datagrams are taken by one call.
pub const BATCH: usize = 16;
/// No datagram over IP is longer.
pub const LONGEST_BYTES: usize = 65_536;

/// Receives from a connected socket; `Ok(None)`: nothing is there yet, or a signal came first.
///
/// # Errors
/// What the kernel says.
pub fn receive(descriptor: RawFd, room: &mut [MaybeUninit<u8>]) -> io::Result<Option<&[u8]>> {
    // SAFETY: the pointer and the length are those of `room`, which is ours to write during the call. A number that is no
    // open socket is an error of the call.
    let count = unsafe { libc::recv(descriptor, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
    let Some(count) = attempted(count)? else { return Ok(None) };
    let filled = ptr::from_ref(room.get(..count).unwrap_or_default());
    // SAFETY: the kernel has written these; an initialised `MaybeUninit<u8>` is a `u8`.
    Ok(Some(unsafe { &*(filled as *const [u8]) }))
}

/// Sends on a connected socket; how many bytes, or `Ok(None)`: there is no room, or a signal came first.
///
/// # Errors
/// What the kernel says; that the other end is closed is an error, and no signal.
pub fn send(descriptor: RawFd, data: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: the pointer and the length are those of `data`, which the kernel only reads.
    let count = unsafe { libc::send(descriptor, data.as_ptr().cast(), data.len(), TRY | libc::MSG_NOSIGNAL) };
    attempted(count)
}

/// Sends one datagram to an address; `Ok(None)`: there is no room, or a signal came first.
///
/// # Errors
/// What the kernel says.
pub fn send_to(descriptor: RawFd, data: &[u8], address: &SocketAddr) -> io::Result<Option<usize>> {
    let (storage, length) = storage_of(address);
    // SAFETY: pointers and lengths are those of `data` and of an address that is alive during the call; the kernel only
    // reads them.
    let count = unsafe {
        libc::sendto(
            descriptor,
            data.as_ptr().cast(),
            data.len(),
            TRY | libc::MSG_NOSIGNAL,
            (&raw const storage).cast(),
            length,
        )
    };
    attempted(count)
}

const TRY: c_int = libc::MSG_DONTWAIT;

/// Memory for datagrams that arrive together; used again and again.
#[derive(Debug)]
pub struct Batch {
    memory: Box<[MaybeUninit<u8>]>,
    /// Of each datagram: its length, and who sent it if that is an address of IP.
    received: Vec<(usize, Option<SocketAddr>)>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { memory: Box::new_uninit_slice(BATCH * LONGEST_BYTES), received: Vec::with_capacity(BATCH) }
    }
}

impl Batch {
    /// Takes what has arrived, [`BATCH`] datagrams at most, in place of the former ones; how many there are.
    ///
    /// # Errors
    /// What the kernel says of the first one, such as that an earlier one of ours was refused.
    pub fn receive(&mut self, descriptor: RawFd) -> io::Result<usize> {
        self.received.clear();
        let mut addresses = [const { MaybeUninit::<libc::sockaddr_storage>::zeroed() }; BATCH];
        let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        for (part, memory) in parts.iter_mut().zip(self.memory.chunks_exact_mut(LONGEST_BYTES)) {
            *part = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() };
        }
        // SAFETY: zeros are a valid message header: no address, no parts, no control data.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        for ((header, part), address) in headers.iter_mut().zip(&mut parts).zip(&mut addresses) {
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = address.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = STORAGE_LENGTH;
        }
        // SAFETY: each header refers to one part of our memory and to room for one address, all alive and ours during the
        // call; there are as many headers as are announced, and there is no timeout.
        let count = unsafe { libc::recvmmsg(descriptor, headers.as_mut_ptr(), COUNT, TRY, ptr::null_mut()) };
        let Some(count) = attempted(count as isize)? else { return Ok(0) };
        for (header, address) in headers.iter().zip(&addresses).take(count) {
            // SAFETY: zeroed, which is a valid address, and then written by the kernel.
            let storage = unsafe { address.assume_init_ref() };
            let length = usize::try_from(header.msg_len).unwrap_or(0).min(LONGEST_BYTES);
            self.received.push((length, if header.msg_hdr.msg_namelen == 0 { None } else { address_of(storage) }));
        }
        Ok(count)
    }

    /// A datagram that was taken, and who sent it.
    pub fn datagram(&self, index: usize) -> Option<(&[u8], Option<SocketAddr>)> {
        let (length, address) = *self.received.get(index)?;
        let filled = ptr::from_ref(self.memory.get(index * LONGEST_BYTES..)?.get(..length)?);
        // SAFETY: the kernel has written as many bytes as it said; an initialised `MaybeUninit<u8>` is a `u8`.
        Some((unsafe { &*(filled as *const [u8]) }, address))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "16")]
const COUNT: u32 = BATCH as u32;
#[allow(clippy::cast_possible_truncation, reason = "128 bytes")]
const STORAGE_LENGTH: u32 = size_of::<libc::sockaddr_storage>() as u32;

#[allow(clippy::cast_possible_truncation, reason = "an address is shorter than that")]
fn storage_of(address: &SocketAddr) -> (libc::sockaddr_storage, u32) {
    // SAFETY: zeros are a valid address, of no family.
    let mut storage: libc::sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
    match address {
        SocketAddr::V4(address) => {
            let place = (&raw mut storage).cast::<libc::sockaddr_in>();
            // SAFETY: the storage is large enough and aligned for an address of any family, and ours.
            let place = unsafe { &mut *place };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_port = address.port().to_be();
            place.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
            (storage, size_of::<libc::sockaddr_in>() as u32)
        }
        SocketAddr::V6(address) => {
            let place = (&raw mut storage).cast::<libc::sockaddr_in6>();
            // SAFETY: as above.
            let place = unsafe { &mut *place };
            place.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            place.sin6_port = address.port().to_be();
            place.sin6_flowinfo = address.flowinfo().to_be();
            place.sin6_addr.s6_addr = address.ip().octets();
            place.sin6_scope_id = address.scope_id();
            (storage, size_of::<libc::sockaddr_in6>() as u32)
        }
    }
}

fn address_of(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what it is; the storage is large enough and aligned for any.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let host = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(host, u16::from_be(address.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let host = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let (port, flow) = (u16::from_be(address.sin6_port), u32::from_be(address.sin6_flowinfo));
            Some(SocketAddr::V6(SocketAddrV6::new(host, port, flow, address.sin6_scope_id)))
        }
        _ => None,
    }
}

/// A host as the C library writes it.
pub fn host_text(host: IpAddr) -> String {
    match host {
        // The one case in which the two differ: an address of IPv4 in the first 96 bits of nothing.
        IpAddr::V6(host) if host.segments().iter().take(6).all(|part| *part == 0) && host.segments()[6] != 0 => {
            let [.., a, b, c, d] = host.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        host => host.to_string(),
    }
}

fn attempted(count: isize) -> io::Result<Option<usize>> {
    match usize::try_from(count) {
        Ok(count) => Ok(Some(count)),
        Err(_negative) => {
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn an_attempt_never_waits_on_a_blocking_socket() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let mut room = [MaybeUninit::uninit(); 8];
        assert_eq!(receive(there.as_raw_fd(), &mut room).unwrap(), None);
        here.write_all(b"abc").unwrap();
        assert_eq!(receive(there.as_raw_fd(), &mut room).unwrap(), Some(&b"abc"[..]));
        let big = vec![7; 1 << 22];
        let sent = send(there.as_raw_fd(), &big).unwrap().unwrap();
        assert!(sent < big.len());
        while send(there.as_raw_fd(), &big).unwrap().is_some() {}
        here.read_exact(&mut vec![0; sent]).unwrap();
        drop(here);
        assert!(send(there.as_raw_fd(), b"x").is_err());
        assert!(receive(-1, &mut room).is_err());
    }

    #[test]
    fn datagrams_arrive_in_batches_with_their_senders() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = UdpSocket::bind(host) else { continue };
            let client = UdpSocket::bind(host).unwrap();
            for number in 0..=BATCH {
                let text = vec![1; number];
                assert_eq!(send_to(client.as_raw_fd(), &text, &server.local_addr().unwrap()).unwrap(), Some(number));
            }
            let mut batch = Batch::default();
            assert_eq!(batch.receive(server.as_raw_fd()).unwrap(), BATCH);
            let sender = client.local_addr().unwrap();
            for number in 0..BATCH {
                assert_eq!(batch.datagram(number), Some((&vec![1; number][..], Some(sender))));
            }
            assert_eq!(batch.receive(server.as_raw_fd()).unwrap(), 1);
            assert_eq!(batch.datagram(1), None);
            assert_eq!(batch.receive(server.as_raw_fd()).unwrap(), 0);
        }
    }

    #[test]
    fn hosts_are_written_as_the_c_library_writes_them() {
        for text in ["127.0.0.1", "::1", "::", "fe80::1:2", "::ffff:1.2.3.4", "::1.2.3.4", "1:0:0:2::3"] {
            assert_eq!(host_text(text.parse().unwrap()), text);
        }
    }
}
