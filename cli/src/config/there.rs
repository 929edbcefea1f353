//! What is configured, as the api tells it to the caller.
//!
//! In: a key's reach. Out: organisations, properties, and of these what is asked for. Lists come in pages; what has to be asked one by one
//! is asked for several at once. What the key may not list is `None`, and nobody takes it for empty.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::config::key_service_client::KeyServiceClient;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::stream_service_client::StreamServiceClient;
use proto::config::{
    Alias, DataStream, GetOrganisationRequest, GetRulesRequest, Key, ListAliasesRequest, ListKeysRequest,
    ListMembersRequest, ListOrganisationsRequest, ListPropertiesRequest, ListStreamsRequest, Member,
    Organisation, Property,
};
use service::SystemClock;
use tonic::{Code, Status};

use crate::services::{KeyedChannel, call_error, every_page, pages, patiently};

/// Calls under way at the same time: less than the api takes from all its callers.
pub(super) const CALLS_AT_ONCE: usize = 12;

/// The api, as a caller has it.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) organisations: OrganisationServiceClient<KeyedChannel>,
    pub(super) properties: PropertyServiceClient<KeyedChannel>,
    pub(super) streams: StreamServiceClient<KeyedChannel>,
    pub(super) keys: KeyServiceClient<KeyedChannel>,
}

/// A list that the key may see, or why it may not.
pub(super) type Listed<T> = Result<Vec<T>, String>;

impl Api {
    pub(super) fn new(channel: KeyedChannel) -> Self {
        Self {
            organisations: OrganisationServiceClient::new(channel.clone()),
            properties: PropertyServiceClient::new(channel.clone()),
            streams: StreamServiceClient::new(channel.clone()),
            keys: KeyServiceClient::new(channel),
        }
    }

    /// Whether the key is the operator's: the keys without an organisation are listed for it alone, while another caller gets those of
    /// its own organisation, or a refusal.
    pub(super) async fn is_operator(&self) -> anyhow::Result<bool> {
        let request =
            ListKeysRequest { organisation_id: String::new(), page_size: 1, page_token: String::new() };
        match self.keys.clone().list_keys(request).await {
            Ok(answer) => Ok(answer.into_inner().keys.iter().all(|key| key.organisation_id.is_empty())),
            Err(status) if status.code() == Code::PermissionDenied => Ok(false),
            Err(status) => Err(call_error(&status)),
        }
    }

    /// All organisations that the key may see.
    pub(super) async fn organisations(&self) -> anyhow::Result<Vec<Organisation>> {
        let mut client = self.organisations.clone();
        let all = every_page(async |page_token| {
            let answer = client.list_organisations(ListOrganisationsRequest { page_size: 0, page_token });
            let answer = answer.await?.into_inner();
            Ok((answer.organisations, answer.next_page_token))
        });
        all.await
    }

    /// One organisation.
    pub(super) async fn organisation(&self, organisation_id: &str) -> anyhow::Result<Organisation> {
        let request = GetOrganisationRequest { organisation_id: organisation_id.to_owned() };
        let found = self.organisations.clone().get_organisation(request).await;
        Ok(found.map_err(|status| call_error(&status))?.into_inner())
    }

    /// All properties that the key may see, or those of one organisation.
    pub(super) async fn properties(&self, organisation_id: &str) -> anyhow::Result<Vec<Property>> {
        let mut client = self.properties.clone();
        let all = every_page(async |page_token| {
            let organisation_id = organisation_id.to_owned();
            let request = ListPropertiesRequest { organisation_id, page_size: 0, page_token };
            let answer = client.list_properties(request).await?.into_inner();
            Ok((answer.properties, answer.next_page_token))
        });
        all.await
    }

    /// The members of an organisation.
    pub(super) async fn members(&self, organisation_id: &str) -> anyhow::Result<Listed<Member>> {
        let mut client = self.organisations.clone();
        let all = pages(async |page_token| {
            let organisation_id = organisation_id.to_owned();
            let request = ListMembersRequest { organisation_id, page_size: 0, page_token };
            let answer = client.list_members(request).await?.into_inner();
            Ok((answer.members, answer.next_page_token))
        });
        listed(all.await)
    }

    /// The report keys of an organisation that open something; of the operator without one.
    pub(super) async fn report_keys(&self, organisation_id: &str) -> anyhow::Result<Listed<Key>> {
        let mut client = self.keys.clone();
        let all = pages(async |page_token| {
            let organisation_id = organisation_id.to_owned();
            let request = ListKeysRequest { organisation_id, page_size: 0, page_token };
            let answer = client.list_keys(request).await?.into_inner();
            Ok((answer.keys, answer.next_page_token))
        });
        let now_ms = SystemClock::shared().now_ms();
        let opens = |key: &Key| key.member_id.is_empty() && expiry_ms(&key.expires_at) > now_ms;
        Ok(listed(all.await)?.map(|keys| keys.into_iter().filter(opens).collect()))
    }

    /// The aliases of these properties.
    pub(super) async fn aliases(
        &self,
        property_ids: impl Iterator<Item = String>,
    ) -> anyhow::Result<BTreeMap<String, Vec<Alias>>> {
        let read = |property_id: String| {
            let mut client = self.properties.clone();
            async move {
                let call = async || {
                    let request = ListAliasesRequest { property_id: property_id.clone() };
                    client.list_aliases(request).await.map_err(|status| call_error(&status))
                };
                let answer = patiently(call).await.with_context(|| format!("aliases of {property_id}"))?;
                Ok::<_, anyhow::Error>((property_id, answer.into_inner().aliases))
            }
        };
        stream::iter(property_ids).map(read).buffer_unordered(CALLS_AT_ONCE).try_collect().await
    }

    /// The data streams of these properties, without those that were made with them.
    pub(super) async fn streams(
        &self,
        property_ids: impl Iterator<Item = String>,
    ) -> anyhow::Result<BTreeMap<String, Vec<DataStream>>> {
        let read = |property_id: String| {
            let mut client = self.streams.clone();
            async move {
                let call = async || {
                    let request = ListStreamsRequest { property_id: property_id.clone() };
                    client.list_streams(request).await.map_err(|status| call_error(&status))
                };
                let answer =
                    patiently(call).await.with_context(|| format!("data streams of {property_id}"))?;
                let all = answer.into_inner().streams;
                let further = all.into_iter().filter(|stream| !stream.name.is_empty()).collect();
                Ok::<_, anyhow::Error>((property_id, further))
            }
        };
        stream::iter(property_ids).map(read).buffer_unordered(CALLS_AT_ONCE).try_collect().await
    }

    /// The rules in force of these properties, as the text of a rules file.
    pub(super) async fn rules(
        &self,
        property_ids: impl Iterator<Item = String>,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let read = |property_id: String| {
            let mut client = self.properties.clone();
            async move {
                let call = async || {
                    let request = GetRulesRequest { property_id: property_id.clone(), version: 0 };
                    client.get_rules(request).await.map_err(|status| call_error(&status))
                };
                let answer = patiently(call).await.with_context(|| format!("rules of {property_id}"))?;
                Ok::<_, anyhow::Error>((property_id, answer.into_inner().rules))
            }
        };
        stream::iter(property_ids).map(read).buffer_unordered(CALLS_AT_ONCE).try_collect().await
    }
}

/// When a key ends, unix milliseconds; one that never ends, or of whose end this build has no notion, ends last.
pub(super) fn expiry_ms(expires_at: &str) -> u64 {
    let time: Option<jiff::Timestamp> = expires_at.parse().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok()).unwrap_or(u64::MAX)
}

fn listed<T>(answer: Result<Vec<T>, Status>) -> anyhow::Result<Listed<T>> {
    match answer {
        Ok(all) => Ok(Ok(all)),
        Err(status) if status.code() == Code::PermissionDenied => Ok(Err(status.message().to_owned())),
        Err(status) => Err(call_error(&status)),
    }
}
