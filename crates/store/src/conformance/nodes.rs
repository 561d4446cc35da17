//! Nodes.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::sample::{LONG, node};
use crate::{Store, StoreError};

pub async fn a_node_has_the_address_of_its_last_heartbeat(store: &dyn Store) {
    store.heartbeat(&node("a"), "10.0.0.1:50011", false).await.unwrap();
    store.heartbeat(&node("b"), "10.0.0.2:50011", false).await.unwrap();
    let first = store.node(&node("a")).await.unwrap();
    assert_eq!(
        (first.id.clone(), &*first.grpc_address, first.draining),
        (node("a"), "10.0.0.1:50011", false)
    );
    assert!((Utc::now() - first.seen_at).abs() < TimeDelta::seconds(30), "{}", first.seen_at);
    store.heartbeat(&node("a"), "[::1]:50012", true).await.unwrap();
    let second = store.node(&node("a")).await.unwrap();
    assert_eq!((&*second.grpc_address, second.draining), ("[::1]:50012", true));
    assert!(second.seen_at > first.seen_at);
    assert_eq!(store.node(&node("b")).await.unwrap().grpc_address, "10.0.0.2:50011");
}

pub async fn nodes_with_a_recent_heartbeat_are_listed_by_id(store: &dyn Store) {
    let ids = async |time| {
        let nodes = store.nodes_seen_within(time).await.unwrap();
        nodes.into_iter().map(|node| (node.id, node.grpc_address)).collect::<Vec<_>>()
    };
    assert_eq!(ids(LONG).await, []);
    store.heartbeat(&node("b"), "10.0.0.2:50011", true).await.unwrap();
    store.heartbeat(&node("a"), "10.0.0.1:50011", false).await.unwrap();
    let both = [(node("a"), "10.0.0.1:50011".to_owned()), (node("b"), "10.0.0.2:50011".to_owned())];
    assert_eq!(ids(LONG).await, both);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ids(Duration::ZERO).await, []);
}

pub async fn an_unknown_node_is_not_found(store: &dyn Store) {
    let found = store.node(&node("nobody")).await;
    assert!(matches!(found, Err(StoreError::NotFound { .. })), "{found:?}");
}

pub async fn the_database_answers_a_ping(store: &dyn Store) {
    store.ping().await.unwrap();
}
