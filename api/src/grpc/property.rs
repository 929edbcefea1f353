//! `PropertyService`: messages to calls and back.

use configuration::stored::NamedProperty;
use property::{FieldChange, NewProperty, OwnedAlias, PropertyUpdate, QuotaChange};
use proto::config::property_service_server::PropertyService;
use proto::config::{
    AddAliasRequest, AddAliasResponse, Alias, CreatePropertyRequest, CreatePropertyResponse,
    GetPropertyRequest, GetRulesRequest, GetRulesResponse, ListAliasesRequest, ListAliasesResponse,
    ListPropertiesRequest, ListPropertiesResponse, Property, RemoveAliasRequest, RemoveAliasResponse,
    RotateApiSecretRequest, RotateApiSecretResponse, RuleChange, SetRulesRequest, SetRulesResponse,
    UpdatePropertyRequest,
};
use tonic::{Request, Response, Status};

use super::mask::Meant;
use super::open;
use crate::calls::ConfigCalls;
use crate::page::Page;
use crate::properties::shown_time;
use crate::rules::ShownRules;

/// The fields of a property that an update may name.
const CHANGEABLE: [&str; 8] = [
    "name",
    "hostnames",
    "currency",
    "time_zone",
    "data_region",
    "retention_days",
    "daily_hits",
    "hits_per_second",
];

#[tonic::async_trait]
impl PropertyService for ConfigCalls {
    async fn create_property(
        &self,
        request: Request<CreatePropertyRequest>,
    ) -> Result<Response<CreatePropertyResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let CreatePropertyRequest {
            name,
            time_zone,
            currency,
            hostnames,
            organisation_id,
            data_region,
            retention_days,
            daily_hits,
            hits_per_second,
        } = request;
        let quota = QuotaChange { daily_hits, hits_per_second };
        let new = NewProperty { name, time_zone, currency, hostnames, data_region, quota };
        let keys = ConfigCalls::create_property(self, &headers, new, organisation_id, retention_days).await?;
        Ok(Response::new(CreatePropertyResponse {
            property_id: keys.property_id,
            measurement_id: keys.measurement_id,
            api_secret: keys.api_secret,
            report_key: keys.report_key,
        }))
    }

    async fn list_properties(
        &self,
        request: Request<ListPropertiesRequest>,
    ) -> Result<Response<ListPropertiesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let ListPropertiesRequest { organisation_id, page_size, page_token } = request;
        let page = Page::of_ids(page_size, &page_token)?;
        let (properties, next_page_token) =
            ConfigCalls::list_properties(self, &headers, organisation_id, page).await?;
        let properties = properties.iter().map(shown).collect();
        Ok(Response::new(ListPropertiesResponse { properties, next_page_token }))
    }

    async fn get_property(&self, request: Request<GetPropertyRequest>) -> Result<Response<Property>, Status> {
        let (headers, _patience, request) = open(request);
        Ok(Response::new(shown(&self.property(&headers, request.property_id).await?)))
    }

    async fn update_property(
        &self,
        request: Request<UpdatePropertyRequest>,
    ) -> Result<Response<Property>, Status> {
        let (headers, _patience, UpdatePropertyRequest { property, update_mask }) = open(request);
        let property = property.unwrap_or_default();
        let Property { property_id, name, time_zone, currency, hostnames, data_region, .. } = property;
        let Property { retention_days, daily_hits, hits_per_second, .. } = property;
        let meant = Meant::of(update_mask, &CHANGEABLE)?;
        let retention_days = meant.is("retention_days", retention_days != 0).then_some(retention_days);
        let quota = QuotaChange {
            daily_hits: meant.is("daily_hits", daily_hits != 0).then_some(daily_hits),
            hits_per_second: meant.is("hits_per_second", hits_per_second != 0).then_some(hits_per_second),
        };
        let update = PropertyUpdate {
            name: meant.text("name", name),
            time_zone: meant.text("time_zone", time_zone),
            currency: meant.text("currency", currency),
            hostnames: meant.is("hostnames", !hostnames.is_empty()).then_some(hostnames),
            data_region: meant.text("data_region", data_region),
            quota,
        };
        let updated =
            ConfigCalls::update_property(self, &headers, property_id, update, retention_days).await?;
        Ok(Response::new(shown(&updated)))
    }

    async fn rotate_api_secret(
        &self,
        request: Request<RotateApiSecretRequest>,
    ) -> Result<Response<RotateApiSecretResponse>, Status> {
        let (headers, _patience, RotateApiSecretRequest { property_id, overlap_s }) = open(request);
        let rotated = ConfigCalls::rotate_api_secret(self, &headers, property_id, overlap_s).await?;
        Ok(Response::new(RotateApiSecretResponse {
            api_secret: rotated.api_secret,
            previous_expire_at: shown_time(rotated.previous_expire_at_ms),
        }))
    }

    async fn add_alias(
        &self,
        request: Request<AddAliasRequest>,
    ) -> Result<Response<AddAliasResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let added = self.claim_alias(&headers, owned(request.alias)).await?;
        Ok(Response::new(AddAliasResponse { alias: Some(shown_alias(added)) }))
    }

    async fn remove_alias(
        &self,
        request: Request<RemoveAliasRequest>,
    ) -> Result<Response<RemoveAliasResponse>, Status> {
        let (headers, _patience, request) = open(request);
        self.release_alias(&headers, owned(request.alias)).await?;
        Ok(Response::new(RemoveAliasResponse {}))
    }

    async fn list_aliases(
        &self,
        request: Request<ListAliasesRequest>,
    ) -> Result<Response<ListAliasesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let aliases = self.aliases(&headers, request.property_id).await?;
        Ok(Response::new(ListAliasesResponse { aliases: aliases.into_iter().map(shown_alias).collect() }))
    }

    async fn set_rules(
        &self,
        request: Request<SetRulesRequest>,
    ) -> Result<Response<SetRulesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let SetRulesRequest { property_id, rules, dry_run } = request;
        let set = self.replace_rules(&headers, property_id, rules, dry_run).await?;
        let changes = set.changes.into_iter().map(|FieldChange { field, old, new }| RuleChange {
            field,
            old: old.to_string(),
            new: new.to_string(),
        });
        Ok(Response::new(SetRulesResponse { version: set.version, changes: changes.collect() }))
    }

    async fn get_rules(
        &self,
        request: Request<GetRulesRequest>,
    ) -> Result<Response<GetRulesResponse>, Status> {
        let (headers, _patience, GetRulesRequest { property_id, version }) = open(request);
        let ShownRules { version, current_version, text } =
            self.rules(&headers, property_id, version).await?;
        Ok(Response::new(GetRulesResponse { version, current_version, rules: text }))
    }
}

/// An alias of a request; what is missing is refused by name.
fn owned(alias: Option<Alias>) -> OwnedAlias {
    let Alias { property_id, protocol, id, hostname } = alias.unwrap_or_default();
    OwnedAlias { alias: property::Alias { protocol, id, hostname }, property_id }
}

fn shown_alias(owned: OwnedAlias) -> Alias {
    let property::Alias { protocol, id, hostname } = owned.alias;
    Alias { property_id: owned.property_id, protocol, id, hostname }
}

/// A property without its secrets.
fn shown(named: &NamedProperty) -> Property {
    let NamedProperty { property, name, organisation_id, retention_days } = named;
    Property {
        property_id: property.property_id.clone(),
        measurement_id: property.measurement_id.clone(),
        name: name.clone(),
        time_zone: property.time_zone().to_owned(),
        currency: property.currency().to_owned(),
        hostnames: property.hostnames.clone(),
        created_at: property.created_at.to_string(),
        data_region: property.data_region.clone(),
        organisation_id: organisation_id.clone(),
        retention_days: *retention_days,
        daily_hits: property.quota.daily_hits,
        hits_per_second: property.quota.hits_per_second,
    }
}
