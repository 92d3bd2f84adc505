//! Makes and deletes topics.

use crate::Result;
use crate::kafka::Cluster;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// Whatever is in them stays, however old it says it is. One that is there already is left as it is.
pub fn create(cluster: &Cluster, names: &[String], partitions: u32) -> Result<()> {
    let topic =
        |name| NewTopic::new(name, partitions as i32, TopicReplication::Fixed(-1)).set("retention.ms", "-1");
    let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let made = pollster::block_on(admin(cluster)?.create_topics(&topics, &options))?;
    check(made, RDKafkaErrorCode::TopicAlreadyExists)?;
    await_leaders(cluster, names)
}

/// One that is not there is no error.
pub fn delete(cluster: &Cluster, names: &[String]) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let deleted = pollster::block_on(admin(cluster)?.delete_topics(&names, &options))?;
    check(deleted, RDKafkaErrorCode::UnknownTopicOrPartition)
}

fn admin(cluster: &Cluster) -> Result<AdminClient<DefaultClientContext>> {
    Ok(cluster.config().create()?)
}

fn check(results: Vec<TopicResult>, fine: RDKafkaErrorCode) -> Result<()> {
    for result in results {
        match result {
            Err((name, code)) if code != fine => return Err(format!("topic {name}: {code}").into()),
            _ => (),
        }
    }
    Ok(())
}

/// A topic that was just made is not everywhere at once.
fn await_leaders(cluster: &Cluster, names: &[String]) -> Result<()> {
    let until = Instant::now() + LIMIT;
    for name in names {
        while let Err(error) = cluster.partitions(name) {
            if Instant::now() > until {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
