//! What one connection of HTTP/2 may ask of the server.

use super::peer::{Frame, cancel, get};
use super::{House, SHORT, patient};
use crate::listener::Limits;

/// The settings of RFC 9113, section 6.5.2, by their numbers.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// An error code of RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn a_connection_has_a_hundred_streams() {
    let house = House::open(patient()).await;
    let mut peer = house.peer().await;
    peer.begin_http2(&[]).await;
    let settings = peer.frame_of(Frame::SETTINGS).await.payload;
    let streams = settings
        .chunks(6)
        .find(|setting| setting.starts_with(&MAX_CONCURRENT_STREAMS.to_be_bytes()));
    assert_eq!(streams.unwrap()[2..], 100_u32.to_be_bytes());
    for number in 0..101 {
        peer.send(get(2 * number + 1, "/gate")).await;
    }
    assert_eq!(peer.frame_of(Frame::RST_STREAM).await.stream, 201);
    house.probe.has_begun(100).await;
    assert_eq!(*house.probe.begun.borrow(), 100);
}

#[tokio::test]
async fn who_begins_and_gives_up_without_pause_is_cut_off() {
    let house = House::open(patient()).await;
    let mut peer = house.peer().await;
    peer.begin_http2(&[]).await;
    let begun_and_given_up = |number: u32| [get(2 * number + 1, "/"), cancel(2 * number + 1)];
    let storm: Vec<u8> = (0..100).flat_map(begun_and_given_up).flatten().collect();
    peer.send(storm).await;
    let goodbye = peer.frame_of(Frame::GOAWAY).await;
    assert_eq!(goodbye.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
}

#[tokio::test]
async fn work_that_was_given_up_counts() {
    let house = House::open(patient()).await;
    let mut peer = house.peer().await;
    peer.begin_http2(&[]).await;
    for number in 0..200 {
        let stream = 2 * number + 1;
        peer.send(get(stream, "/gate")).await;
        house.probe.has_begun(number as usize + 1).await;
        peer.send(cancel(stream)).await;
    }
    // Answered although the gate is shut: it is not worked on.
    peer.send(get(401, "/gate")).await;
    assert_eq!(peer.frame_of(Frame::HEADERS).await.stream, 401);
    assert_eq!(*house.probe.begun.borrow(), 200);
    // What was given up is done all the same.
    house.probe.gate.add_permits(200);
    drop(peer);
    house.is_empty().await;
    assert_eq!(house.probe.done(), 200);
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_ends() {
    let house = House::open(Limits {
        time: SHORT,
        write_time: SHORT,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    let mut no_room = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    no_room.extend(0_u32.to_be_bytes());
    peer.begin_http2(&no_room).await;
    peer.send(get(1, "/")).await;
    assert_eq!(peer.frame_of(Frame::RST_STREAM).await.stream, 1);
}
