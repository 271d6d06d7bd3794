//! robots.txt by RFC 9309: rules, statuses, and how long an answer is good.
