//! Postgres: pending migrations without auto_migrate, and an outage of the database.

use std::time::Duration;

use proto::webrtc_recorder::StopP2pVideoRequest;
use server::{App, Config, Database, StartError};
use testkit::servers::postgres::Postgres;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

use crate::support::{OFFER, TestApp, http, sources, upload};

#[tokio::test]
async fn pending_migrations_prevent_the_start_if_auto_migrate_is_off() {
    let url = Postgres::shared().create_database();
    let directory = tempfile::tempdir().unwrap();
    let settings = [("store.url", url.as_str()), ("store.auto_migrate", "false")];
    let config = || Config::load(&sources(&directory, &settings)).unwrap();
    let refused = App::build(config()).await.err().unwrap();
    assert!(matches!(refused, StartError::Pending { .. }), "{refused}");

    let database = Database::open(&config()).await.unwrap();
    assert!(!database.migrate().await.unwrap().is_empty());
    database.close().await;
    App::build(config()).await.unwrap();
}

async fn wait_for_health(app: &TestApp, want: ServingStatus) {
    let mut client = HealthClient::new(app.channel());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        if answer.status() == want {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "still {:?}", answer.status());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn while_the_database_is_unavailable_sessions_are_refused_and_the_node_is_not_ready() {
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let app = TestApp::start(&[("store.url", url.as_str())]).await;
    wait_for_health(&app, ServingStatus::Serving).await;
    let live = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;

    postgres.stop_immediately();
    wait_for_health(&app, ServingStatus::NotServing).await;
    let probe = async |path| {
        let response = http().get(app.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(probe("/readyz").await, (503, "the database is away\n".to_owned()));
    assert_eq!(probe("/healthz").await, (200, "ok\n".to_owned()));
    let status = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "DATABASE_AWAY");
    assert!(details.retry_info().is_some());

    postgres.start_again();
    wait_for_health(&app, ServingStatus::Serving).await;
    app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap();
    app.webrtc().stop_p2p_video(StopP2pVideoRequest { id: live }).await.unwrap();
    app.stop().await;
}
