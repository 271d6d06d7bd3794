//! `extract_pages FOLDER [ROUNDS]`: reads the links of all .html files in a folder, and prints the time for one page.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]
#![allow(clippy::cast_precision_loss, reason = "the figures are rounded")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use threefold_crawl::engine::ScopeKind;
use threefold_crawl::extract::{Source, page};
use threefold_crawl::url::{Addresses, Fingerprints, Scope, Url};

fn files(folder: &Path, root: &Path, pages: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, root, pages);
        } else if path.extension().is_some_and(|end| end == "html") {
            let url = format!("http://127.0.0.1:8901/{}", path.strip_prefix(root).unwrap().display());
            pages.push((url, std::fs::read(&path).unwrap()));
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap();
    let rounds: u32 = arguments.next().map_or(1, |text| text.parse().unwrap());
    let mut pages = Vec::new();
    files(Path::new(&folder), Path::new(&folder), &mut pages);
    let scope = Scope::new(&ScopeKind::Host, &[Url::parse("http://127.0.0.1:8901/").unwrap()], &[], &[]).unwrap();
    let addresses = Addresses::new(Fingerprints::new([1; 16]), Arc::new(scope), true, 1 << 16);
    let start = Instant::now();
    let mut links = 0;
    for _ in 0..rounds {
        for (url, body) in &pages {
            let extracted = page(
                &Source { body, content_type: Some("text/html"), url, agent: "threefold", media: false },
                &addresses,
            );
            links += extracted.links.len();
        }
    }
    let microseconds = start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds) / pages.len() as f64;
    let bytes: usize = pages.iter().map(|(_, body)| body.len()).sum();
    println!("{} pages of {} bytes, {links} links: {microseconds:.1} us a page", pages.len(), bytes / pages.len());
}
