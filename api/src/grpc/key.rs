//! `KeyService`: messages to calls and back.

use configuration::stored::access::{self, Holder, Reach};
use proto::config::key_service_server::KeyService;
use proto::config::{
    CreateKeyRequest, CreateKeyResponse, Key, ListKeysRequest, ListKeysResponse, RevokeKeyRequest,
    RevokeKeyResponse, RotateKeyRequest, RotateKeyResponse,
};
use tonic::{Request, Response, Status};

use super::open;
use crate::calls::ConfigCalls;
use crate::keys::NewKey;
use crate::page::Page;
use crate::properties::shown_time;

#[tonic::async_trait]
impl KeyService for ConfigCalls {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let CreateKeyRequest {
            organisation_id,
            name,
            member_id,
            scopes,
            property_ids,
            all_properties,
            expires_at,
        } = request;
        let new =
            NewKey { organisation_id, name, member_id, scopes, property_ids, all_properties, expires_at };
        let (key, secret) = ConfigCalls::create_key(self, &headers, new).await?;
        Ok(Response::new(CreateKeyResponse { key: Some(shown(key)), secret }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let ListKeysRequest { organisation_id, page_size, page_token } = request;
        let page = Page::of_ids(page_size, &page_token)?;
        let (keys, next_page_token) = ConfigCalls::list_keys(self, &headers, organisation_id, page).await?;
        let keys = keys.into_iter().map(shown).collect();
        Ok(Response::new(ListKeysResponse { keys, next_page_token }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let (headers, _patience, request) = open(request);
        ConfigCalls::revoke_key(self, &headers, request.key_id).await?;
        Ok(Response::new(RevokeKeyResponse {}))
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let (headers, _patience, RotateKeyRequest { key_id, overlap_s }) = open(request);
        let rotated = ConfigCalls::rotate_key(self, &headers, key_id, overlap_s).await?;
        Ok(Response::new(RotateKeyResponse {
            key: Some(shown(rotated.key)),
            secret: rotated.secret,
            previous: Some(shown(rotated.previous)),
        }))
    }
}

/// A key without what it opens with.
fn shown(key: access::Key) -> Key {
    let access::Key { key_id, organisation_id, name, holder, created_at_ms, expires_at_ms } = key;
    let mut shown = Key {
        key_id,
        organisation_id,
        name,
        created_at: shown_time(created_at_ms),
        expires_at: shown_time(expires_at_ms),
        ..Key::default()
    };
    match holder {
        Holder::Member(member_id) => shown.member_id = member_id,
        Holder::Reports { scopes, reach } => {
            shown.scopes = scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect();
            match reach {
                Reach::All => shown.all_properties = true,
                Reach::These(property_ids) => shown.property_ids = property_ids,
            }
        }
    }
    shown
}
