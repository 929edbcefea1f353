//! `OrganisationService`: messages to calls and back.

use configuration::stored::access;
use proto::config::organisation_service_server::OrganisationService;
use proto::config::{
    Actor, AddMemberRequest, AddMemberResponse, AuditedChange, AuditedField, AuditedRecord,
    CreateFirstOwnerRequest, CreateFirstOwnerResponse, CreateOrganisationRequest, GetOrganisationRequest,
    ListChangesRequest, ListChangesResponse, ListMembersRequest, ListMembersResponse,
    ListOrganisationsRequest, ListOrganisationsResponse, Member, Organisation, RemoveMemberRequest,
    RemoveMemberResponse, UpdateMemberRequest, UpdateOrganisationRequest,
};
use tonic::{Request, Response, Status};

use super::mask::Meant;
use super::open;
use crate::calls::ConfigCalls;
use crate::changes::{Audited, ChangeFilter, RecordChange, ValueChange};
use crate::members::{MemberUpdate, NewMember, role};
use crate::page::Page;
use crate::properties::shown_time;

#[tonic::async_trait]
impl OrganisationService for ConfigCalls {
    async fn create_organisation(
        &self,
        request: Request<CreateOrganisationRequest>,
    ) -> Result<Response<Organisation>, Status> {
        let (headers, _patience, request) = open(request);
        let created = ConfigCalls::create_organisation(self, &headers, request.name).await?;
        Ok(Response::new(shown(created)))
    }

    async fn create_first_owner(
        &self,
        request: Request<CreateFirstOwnerRequest>,
    ) -> Result<Response<CreateFirstOwnerResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let CreateFirstOwnerRequest { organisation_name, name, email } = request;
        let first = ConfigCalls::create_first_owner(self, &headers, organisation_name, name, email).await?;
        Ok(Response::new(CreateFirstOwnerResponse {
            organisation: Some(shown(first.organisation)),
            member: Some(shown_member(first.member)),
            key: first.key,
        }))
    }

    async fn get_organisation(
        &self,
        request: Request<GetOrganisationRequest>,
    ) -> Result<Response<Organisation>, Status> {
        let (headers, _patience, request) = open(request);
        Ok(Response::new(shown(self.organisation(&headers, request.organisation_id).await?)))
    }

    async fn list_organisations(
        &self,
        request: Request<ListOrganisationsRequest>,
    ) -> Result<Response<ListOrganisationsResponse>, Status> {
        let (headers, _patience, ListOrganisationsRequest { page_size, page_token }) = open(request);
        let page = Page::of_ids(page_size, &page_token)?;
        let (organisations, next_page_token) = ConfigCalls::list_organisations(self, &headers, page).await?;
        let organisations = organisations.into_iter().map(shown).collect();
        Ok(Response::new(ListOrganisationsResponse { organisations, next_page_token }))
    }

    async fn update_organisation(
        &self,
        request: Request<UpdateOrganisationRequest>,
    ) -> Result<Response<Organisation>, Status> {
        let (headers, _patience, request) = open(request);
        let UpdateOrganisationRequest { organisation, update_mask } = request;
        let Organisation { organisation_id, name, .. } = organisation.unwrap_or_default();
        let name = Meant::of(update_mask, &["name"])?.text("name", name);
        let updated = ConfigCalls::update_organisation(self, &headers, organisation_id, name).await?;
        Ok(Response::new(shown(updated)))
    }

    async fn add_member(
        &self,
        request: Request<AddMemberRequest>,
    ) -> Result<Response<AddMemberResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let AddMemberRequest { organisation_id, name, email, role: role_name } = request;
        let new = NewMember { name, email, role: role(&role_name)? };
        let (member, key) = ConfigCalls::add_member(self, &headers, organisation_id, new).await?;
        Ok(Response::new(AddMemberResponse { member: Some(shown_member(member)), key }))
    }

    async fn update_member(&self, request: Request<UpdateMemberRequest>) -> Result<Response<Member>, Status> {
        let (headers, _patience, UpdateMemberRequest { member, update_mask }) = open(request);
        let Member { organisation_id, member_id, name, email, role: role_name, .. } =
            member.unwrap_or_default();
        let meant = Meant::of(update_mask, &["name", "email", "role"])?;
        let update = MemberUpdate {
            name: meant.text("name", name),
            email: meant.text("email", email),
            role: meant.text("role", role_name).map(|name| role(&name)).transpose()?,
        };
        let updated = ConfigCalls::update_member(self, &headers, organisation_id, member_id, update).await?;
        Ok(Response::new(shown_member(updated)))
    }

    async fn remove_member(
        &self,
        request: Request<RemoveMemberRequest>,
    ) -> Result<Response<RemoveMemberResponse>, Status> {
        let (headers, _patience, RemoveMemberRequest { organisation_id, member_id }) = open(request);
        ConfigCalls::remove_member(self, &headers, organisation_id, member_id).await?;
        Ok(Response::new(RemoveMemberResponse {}))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let ListMembersRequest { organisation_id, page_size, page_token } = request;
        let page = Page::of_ids(page_size, &page_token)?;
        let (members, next_page_token) =
            ConfigCalls::list_members(self, &headers, organisation_id, page).await?;
        let members = members.into_iter().map(shown_member).collect();
        Ok(Response::new(ListMembersResponse { members, next_page_token }))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let ListChangesRequest { organisation_id, property_id, member_id, page_size, page_token } = request;
        let filter = ChangeFilter { organisation_id, property_id, member_id, page_size, page_token };
        let (changes, next_page_token) = self.changes(&headers, filter).await?;
        let changes = changes.into_iter().map(shown_change).collect();
        Ok(Response::new(ListChangesResponse { changes, next_page_token }))
    }
}

fn shown(organisation: access::Organisation) -> Organisation {
    let access::Organisation { organisation_id, name, created_at_ms } = organisation;
    Organisation { organisation_id, name, created_at: shown_time(created_at_ms) }
}

/// A member without its keys.
fn shown_member(member: access::Member) -> Member {
    let access::Member { organisation_id, member_id, name, email, role, created_at_ms, keys: _ } = member;
    let (role, created_at) = (role.as_str().to_owned(), shown_time(created_at_ms));
    Member { organisation_id, member_id, name, email, role, created_at }
}

fn shown_change(audited: Audited) -> AuditedChange {
    let Audited { version, change, records } = audited;
    let Actor { kind, id } = change.actor.unwrap_or_default();
    let text = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    let field = |ValueChange { field, before, after }| AuditedField {
        field,
        before: text(before),
        after: text(after),
    };
    let record = |RecordChange { record, fields }| AuditedRecord {
        record,
        fields: fields.into_iter().map(field).collect(),
    };
    AuditedChange {
        changed_at: shown_time(change.at_ms),
        version,
        actor_kind: kind,
        actor_id: id,
        method: change.method,
        records: records.into_iter().map(record).collect(),
    }
}
