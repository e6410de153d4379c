//! How long connections may do nothing, and how many there may be.

use super::peer::{Frame, frame, get};
use super::{House, SHORT, patient};
use crate::listener::Limits;
use tokio::time::timeout;

/// A house where a head may take a short time only.
async fn hasty() -> House {
    House::open(Limits {
        head_time: SHORT,
        ..patient()
    })
    .await
}

#[tokio::test]
async fn who_sends_nothing_is_cut_off_within_the_time_of_a_head() {
    let house = hasty().await;
    for sent in ["", "G", "PRI * HT", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let mut peer = house.peer().await;
        peer.send(sent).await;
        peer.ended().await;
    }
    let mut peer = house.peer().await;
    peer.begin_http2(&[]).await;
    peer.ended().await;
    house.is_empty().await;
}

#[tokio::test]
async fn the_head_of_a_later_request_has_the_same_time() {
    let house = hasty().await;
    let mut peer = house.peer().await;
    peer.ask("/").await;
    peer.send("GET / HTTP/1.1\r\n").await;
    peer.ended().await;
}

#[tokio::test]
async fn a_connection_rests_longer_than_a_head_may_take() {
    let house = hasty().await;
    let (mut first, mut second) = (house.peer().await, house.peer().await);
    first.ask("/").await;
    second.begin_http2(&[]).await;
    second.send(get(1, "/")).await;
    second.frame_of(Frame::HEADERS).await;
    for _ in 0..2 {
        // One that came later is cut off; what is no request begins none.
        second.send(frame(Frame::PING, 0, 0, b"12345678")).await;
        house.peer().await.ended().await;
        assert!(first.ask("/").await.ends_with("here"));
    }
    second.send(get(3, "/")).await;
    assert_eq!(second.frame_of(Frame::HEADERS).await.stream, 3);
}

#[tokio::test]
async fn a_connection_that_rests_too_long_ends() {
    let house = House::open(Limits {
        idle_time: SHORT,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    peer.ask("/").await;
    peer.ended().await;
    let mut peer = house.peer().await;
    peer.begin_http2(&[]).await;
    peer.send(get(1, "/")).await;
    peer.frame_of(Frame::HEADERS).await;
    let goodbye = peer.frame_of(Frame::GOAWAY).await;
    assert_eq!(goodbye.payload[4..8], [0; 4], "without an error");
}

#[tokio::test]
async fn a_request_under_way_is_no_rest() {
    let house = House::open(Limits {
        idle_time: SHORT,
        head_time: SHORT,
        write_time: SHORT,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    peer.get("/gate").await;
    house.probe.has_begun(1).await;
    let mut other = house.peer().await;
    other.ask("/").await;
    other.ended().await;
    house.probe.gate.add_permits(1);
    assert!(peer.answer().await.ends_with("through"));
}

#[tokio::test]
async fn who_does_not_read_its_answer_is_cut_off() {
    let house = House::open(Limits {
        write_time: SHORT,
        ..patient()
    })
    .await;
    let mut peer = house.peer().await;
    peer.get("/large").await;
    house.probe.has_begun(1).await;
    house.is_empty().await;
    peer.ended().await;
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let house = House::open(Limits {
        connections: 2,
        ..patient()
    })
    .await;
    let (mut one, mut two) = (house.peer().await, house.peer().await);
    one.ask("/").await;
    two.ask("/").await;
    let mut three = house.peer().await;
    three.get("/").await;
    assert!(timeout(SHORT, three.answer()).await.is_err());
    assert!(two.ask("/").await.ends_with("here"));
    drop(one);
    assert!(three.answer().await.ends_with("here"));
}

#[tokio::test]
async fn a_place_is_taken_until_the_work_that_was_left_behind_ends() {
    let house = House::open(Limits {
        connections: 1,
        ..patient()
    })
    .await;
    let mut gone = house.peer().await;
    gone.get("/gate").await;
    house.probe.has_begun(1).await;
    drop(gone);
    let mut next = house.peer().await;
    next.get("/").await;
    assert!(timeout(SHORT, next.answer()).await.is_err());
    house.probe.gate.add_permits(1);
    assert!(next.answer().await.ends_with("here"));
}
