//! Before anything is processed: looks at the topics, decides, makes the internal ones, and looks again.

use super::Settings;
use super::ask::Ask;
use super::process::{Activity, Step};
use super::topics::TopicPlan;
use crate::error::{Error, ErrorKind, Result};
use crate::topology::Blueprint;

/// How far it is.
#[derive(Default)]
pub(crate) struct Preparation {
    ask: Ask,
    /// What is being made.
    making: Option<TopicPlan>,
    made: bool,
    /// The machine's clock when it began.
    since: Option<i64>,
}

impl Preparation {
    /// The plan once every topic is there.
    pub(crate) fn step(
        &mut self,
        step: &mut Step<'_>,
        blueprint: &Blueprint,
        settings: &Settings,
    ) -> Result<(Option<TopicPlan>, Activity)> {
        let since = *self.since.get_or_insert(step.moment.machine);
        // A log in the process answers when it can; addresses may be wrong.
        let cluster = !settings.kafka.bootstrap_servers.is_empty();
        if cluster && step.moment.machine - since > settings.kafka.api_timeout {
            return Err(self.no_answer(settings));
        }
        if let Some(plan) = &self.making {
            let missing = plan.missing.clone();
            let told = self.ask.poll(
                step,
                "make the internal topics",
                |admin| admin.start_create(missing),
                |admin, ticket| admin.poll_create(ticket),
            )?;
            if told.is_none() {
                return Ok((None, self.ask.activity()));
            }
            (self.making, self.made) = (None, true);
        }
        // All of them: patterns and topics that are chosen per record are not known by name.
        let told = self.ask.poll(
            step,
            "look at the topics",
            |admin| admin.start_describe(Vec::new()),
            |admin, ticket| admin.poll_describe(ticket),
        )?;
        let Some(existing) = told else { return Ok((None, self.ask.activity())) };
        let plan = TopicPlan::decide(blueprint, settings, &existing)?;
        if plan.missing.is_empty() {
            plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            return Ok((Some(plan), Activity::PROGRESS));
        }
        if self.made {
            let names: Vec<&str> = plan.missing.iter().map(|topic| topic.name.as_str()).collect();
            let text = format!("internal topics were made and are not there: {}", names.join(", "));
            return Err(Error::new(ErrorKind::Topics, text));
        }
        self.making = Some(plan);
        Ok((None, Activity::PROGRESS))
    }

    fn no_answer(&self, settings: &Settings) -> Error {
        let text = format!("no answer from the cluster within {} ms", settings.kafka.api_timeout);
        let error = Error::new(ErrorKind::Retriable, text)
            .with("bootstrap.servers", settings.kafka.bootstrap_servers.join(","))
            .help("see that the brokers run and can be reached from here, and that security.protocol is theirs; default.api.timeout.ms is how long it waits");
        match self.ask.last_failure() {
            Some(failure) => error.cause(failure.to_owned()),
            None => error,
        }
    }
}
