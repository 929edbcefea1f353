//! Every RPC that a key opens, as a value: so that tables and generators can send any of them.

use proto::config::erasure_service_client::ErasureServiceClient;
use proto::config::key_service_client::KeyServiceClient;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::stream_service_client::StreamServiceClient;
use proto::config::*;
use proto::report::RunReportRequest;
use proto::report::report_service_client::ReportServiceClient;
use tonic::transport::Channel;
use tonic::{Request, Status};

macro_rules! asks {
    ($($name:ident($request:ty) = $client:ident.$method:ident;)*) => {
        /// A request of one RPC.
        #[derive(Debug, Clone)]
        pub(super) enum Ask {
            $($name($request),)*
        }

        impl Ask {
            /// The names of all RPCs.
            pub(super) const ALL: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The RPC.
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// What the server answers to who holds this key, as text.
            pub(super) async fn send(self, channel: Channel, key: &str) -> Result<String, Status> {
                match self {
                    $(Self::$name(request) => {
                        let mut request = Request::new(request);
                        if !key.is_empty() {
                            request.metadata_mut().insert("x-goog-api-key", key.parse().unwrap());
                        }
                        let answer = $client::new(channel).$method(request).await?.into_inner();
                        Ok(format!("{answer:?}"))
                    })*
                }
            }
        }
    };
}

asks! {
    RunReport(RunReportRequest) = ReportServiceClient.run_report;
    CreateProperty(CreatePropertyRequest) = PropertyServiceClient.create_property;
    ListProperties(ListPropertiesRequest) = PropertyServiceClient.list_properties;
    GetProperty(GetPropertyRequest) = PropertyServiceClient.get_property;
    UpdateProperty(UpdatePropertyRequest) = PropertyServiceClient.update_property;
    RotateApiSecret(RotateApiSecretRequest) = PropertyServiceClient.rotate_api_secret;
    AddAlias(AddAliasRequest) = PropertyServiceClient.add_alias;
    RemoveAlias(RemoveAliasRequest) = PropertyServiceClient.remove_alias;
    ListAliases(ListAliasesRequest) = PropertyServiceClient.list_aliases;
    DeleteProperty(DeletePropertyRequest) = ErasureServiceClient.delete_property;
    EraseVisitors(EraseVisitorsRequest) = ErasureServiceClient.erase_visitors;
    ListErasures(ListErasuresRequest) = ErasureServiceClient.list_erasures;
    GetErasure(GetErasureRequest) = ErasureServiceClient.get_erasure;
    RunRetention(RunRetentionRequest) = ErasureServiceClient.run_retention;
    CreateStream(CreateStreamRequest) = StreamServiceClient.create_stream;
    ListStreams(ListStreamsRequest) = StreamServiceClient.list_streams;
    UpdateStream(UpdateStreamRequest) = StreamServiceClient.update_stream;
    DeleteStream(DeleteStreamRequest) = StreamServiceClient.delete_stream;
    SetRules(SetRulesRequest) = PropertyServiceClient.set_rules;
    GetRules(GetRulesRequest) = PropertyServiceClient.get_rules;
    CreateOrganisation(CreateOrganisationRequest) = OrganisationServiceClient.create_organisation;
    CreateFirstOwner(CreateFirstOwnerRequest) = OrganisationServiceClient.create_first_owner;
    GetOrganisation(GetOrganisationRequest) = OrganisationServiceClient.get_organisation;
    ListOrganisations(ListOrganisationsRequest) = OrganisationServiceClient.list_organisations;
    UpdateOrganisation(UpdateOrganisationRequest) = OrganisationServiceClient.update_organisation;
    AddMember(AddMemberRequest) = OrganisationServiceClient.add_member;
    UpdateMember(UpdateMemberRequest) = OrganisationServiceClient.update_member;
    RemoveMember(RemoveMemberRequest) = OrganisationServiceClient.remove_member;
    ListMembers(ListMembersRequest) = OrganisationServiceClient.list_members;
    ListChanges(ListChangesRequest) = OrganisationServiceClient.list_changes;
    CreateKey(CreateKeyRequest) = KeyServiceClient.create_key;
    ListKeys(ListKeysRequest) = KeyServiceClient.list_keys;
    RevokeKey(RevokeKeyRequest) = KeyServiceClient.revoke_key;
    RotateKey(RotateKeyRequest) = KeyServiceClient.rotate_key;
}
