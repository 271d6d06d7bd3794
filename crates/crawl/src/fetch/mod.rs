//! One hop of HTTP: connections, TLS, the address guard, proxies, decompression, limits.
