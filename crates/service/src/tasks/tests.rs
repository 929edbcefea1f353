//! A group notices every way a task can end, and drains in the order of the data.

use tokio::sync::mpsc;

use super::*;

const GRACE: Duration = Duration::from_secs(60);

fn group() -> (TaskGroup, CancellationToken) {
    let token = CancellationToken::new();
    (TaskGroup::new(token.clone()), token)
}

async fn until(token: CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    Ok(())
}

#[tokio::test]
async fn task_that_ends_early_is_named_and_stops_the_others() {
    let (mut tasks, token) = group();
    tasks.spawn("steady", until(token.clone()));
    tasks.spawn("short", async { Ok(()) });
    let error = tasks.join().await.unwrap_err();
    assert_eq!(error.to_string(), "task short ended before shutdown");
    assert!(token.is_cancelled());
    assert_eq!(tasks.shutdown(GRACE).await.unwrap_err().to_string(), "task short ended before shutdown");
}

#[tokio::test]
async fn failed_task_says_why() {
    let (mut tasks, token) = group();
    tasks.spawn("steady", until(token.clone()));
    tasks.spawn("ship", async { Err(anyhow!("no route").context("cannot reach the hub")) });
    assert_eq!(
        tasks.run(GRACE).await.unwrap_err().to_string(),
        "task ship failed: cannot reach the hub: no route"
    );
}

#[tokio::test]
async fn panics_of_tasks_and_threads_are_reported() {
    let (mut tasks, _token) = group();
    tasks.spawn("task", async { panic!("index {}", 7) });
    assert_eq!(tasks.run(GRACE).await.unwrap_err().to_string(), "task task failed: panicked: index 7");

    let (mut tasks, token) = group();
    tasks.spawn_blocking_thread("thread", || panic!("broken"));
    assert_eq!(tasks.join().await.unwrap_err().to_string(), "task thread failed: panicked: broken");
    assert!(token.is_cancelled());
}

#[tokio::test]
async fn thread_that_ends_early_stops_the_service() {
    let (mut tasks, token) = group();
    tasks.spawn_blocking_thread("commit", || Ok(()));
    assert_eq!(tasks.join().await.unwrap_err().to_string(), "task commit ended before shutdown");
    assert!(token.is_cancelled());
}

#[tokio::test]
async fn shutdown_waits_until_every_stage_has_drained() {
    let (mut tasks, token) = group();
    let (sender, mut receiver) = mpsc::channel::<u32>(4);
    let (total, result) = oneshot::channel();
    let accepting = token.clone();
    tasks.spawn("accept", async move {
        accepting.cancelled().await;
        for value in 1..=100 {
            sender.send(value).await?;
        }
        Ok(())
    });
    tasks.spawn_blocking_thread("commit", move || {
        let mut sum = 0;
        while let Some(value) = receiver.blocking_recv() {
            sum += value;
        }
        total.send(sum).map_err(|_| anyhow!("nobody waits"))
    });
    token.cancel();
    tasks.run(GRACE).await.unwrap();
    assert_eq!(result.await.unwrap(), 5050);
}

#[tokio::test]
async fn task_that_does_not_end_is_named_after_the_grace_time() {
    let (mut tasks, token) = group();
    tasks.spawn("good", until(token.clone()));
    tasks.spawn("stuck", std::future::pending());
    let error = tasks.shutdown(Duration::from_millis(50)).await.unwrap_err();
    let stuck: Vec<_> = error.failures.iter().map(|failure| failure.name).collect();
    assert!(stuck.contains(&"stuck"), "{error}");
    assert!(error.to_string().contains("task stuck did not end within 50 ms of shutdown"), "{error}");
}

#[tokio::test]
async fn dropped_group_leaves_nothing_running() {
    let (mut tasks, token) = group();
    let (held, released) = oneshot::channel::<()>();
    tasks.spawn("endless", async move {
        let _held = held;
        std::future::pending().await
    });
    drop(tasks);
    assert!(token.is_cancelled());
    assert!(released.await.is_err(), "the task and what it held are gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn join_never_misses_the_task_that_began_the_shutdown() {
    for round in 0..500 {
        let (mut tasks, token) = group();
        tasks.spawn("steady", until(token));
        tasks.spawn("short", async { Ok(()) });
        let error = tasks.join().await.expect_err("the reason is on record before the shutdown is seen");
        assert!(error.failures.iter().any(|failure| failure.name == "short"), "round {round}: {error}");
    }
}
