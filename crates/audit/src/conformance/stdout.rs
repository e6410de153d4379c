//! The output of the process, in whose place stands a pipe.

use super::{Harness, run};
use crate::Device;
use crate::sink::stdout::Stdout;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A pipe that somebody reads, until told not to.
struct Pipe {
    writer: File,
    collector: Arc<Mutex<Collector>>,
}

struct Collector {
    reader: PipeReader,
    text: Vec<u8>,
    rests: bool,
}

impl Pipe {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        set_waiting(&reader, false);
        let collector = Arc::new(Mutex::new(Collector {
            reader,
            text: Vec::new(),
            rests: false,
        }));
        let weak = Arc::downgrade(&collector);
        std::thread::spawn(move || collect(&weak));
        Self {
            writer: File::from(OwnedFd::from(writer)),
            collector,
        }
    }
}

fn collect(collector: &Weak<Mutex<Collector>>) {
    while let Some(collector) = collector.upgrade() {
        let mut own = collector.lock();
        let mut block = [0; 4_096];
        if !own.rests
            && let Ok(read) = own.reader.read(&mut block)
        {
            own.text.extend_from_slice(&block[..read]);
        }
        drop(own);
        std::thread::park_timeout(Duration::from_micros(100));
    }
}

fn set_waiting(file: &impl AsFd, waits: bool) {
    let mut flags = rustix::fs::fcntl_getfl(file).unwrap();
    flags.set(OFlags::NONBLOCK, !waits);
    rustix::fs::fcntl_setfl(file, flags).unwrap();
}

impl Harness for Pipe {
    const RESUMES: bool = false;

    async fn open(&self) -> Device {
        Device::on_sink("stdout/", Stdout::on(self.writer.try_clone().unwrap()))
    }

    fn lines(&self) -> Vec<String> {
        let own = self.collector.lock();
        let text = String::from_utf8_lossy(&own.text);
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    fn set_full(&self, full: bool) {
        self.collector.lock().rests = full;
        // A full pipe that does not wait refuses, as a full disk does.
        set_waiting(&self.writer, !full);
        let mut writer = &self.writer;
        while full && writer.write(b"\n").is_ok() {}
    }

    fn move_away(&self) {}

    async fn hanging(&self) -> (Device, impl FnOnce()) {
        let (mut reader, mut pipe) = std::io::pipe().unwrap();
        pipe.write_all(&[b'x'; 1 << 16]).unwrap();
        let out = File::from(OwnedFd::from(pipe));
        let answer = move || {
            std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        };
        (Device::on_sink("stdout/", Stdout::on(out)), answer)
    }
}

#[tokio::test]
async fn the_output_of_the_process_conforms() {
    run(Pipe::new).await;
}
