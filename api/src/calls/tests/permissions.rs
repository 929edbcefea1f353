//! Every RPC with every kind of key, against `permissions.tsv`, which was written by hand from what roles and scopes are to mean. All
//! requests are about the organisation of `owner` … `everywhere`; ListOrganisations names none, so another owner sees its own.

use std::collections::BTreeSet;

use proto::config::*;
use proto::report::RunReportRequest;
use tonic::Code;

use super::ask::Ask;
use super::world::{ADMIN, Tenant, World, with};

const TABLE: &str = include_str!("permissions.tsv");

/// A request that succeeds for who may make it, on things made for it alone.
#[allow(clippy::too_many_lines)] // one arm for each RPC
async fn request(world: &World, tenant: &Tenant, rpc: &str, nth: usize) -> Ask {
    let organisation_id = tenant.organisation_id.clone();
    let property_id = tenant.properties[0].property_id.clone();
    let id = format!("t{nth}");
    let alias = Alias {
        property_id: property_id.clone(),
        protocol: "umami".into(),
        id: id.clone(),
        hostname: String::new(),
    };
    let property = Property { property_id: property_id.clone(), name: id.clone(), ..Property::default() };
    let of_property = CreateKeyRequest {
        organisation_id: organisation_id.clone(),
        name: id.clone(),
        property_ids: vec![property_id.clone()],
        ..CreateKeyRequest::default()
    };
    match rpc {
        "RunReport" => Ask::RunReport(report(property_id)),
        "CreateProperty" => Ask::CreateProperty(CreatePropertyRequest {
            name: id,
            organisation_id,
            ..CreatePropertyRequest::default()
        }),
        "CreateProperty(daily_hits)" => Ask::CreateProperty(CreatePropertyRequest {
            name: id,
            organisation_id,
            daily_hits: Some(1_000),
            ..CreatePropertyRequest::default()
        }),
        "CreateProperty(hits_per_second)" => Ask::CreateProperty(CreatePropertyRequest {
            name: id,
            organisation_id,
            hits_per_second: Some(5),
            ..CreatePropertyRequest::default()
        }),
        "UpdateProperty(daily_hits)" => {
            let property = Property { daily_hits: u64::try_from(nth).unwrap(), ..property };
            Ask::UpdateProperty(UpdatePropertyRequest { property: Some(property), update_mask: None })
        }
        "UpdateProperty(hits_per_second)" => {
            let property = Property { hits_per_second: u32::try_from(nth).unwrap(), ..property };
            Ask::UpdateProperty(UpdatePropertyRequest { property: Some(property), update_mask: None })
        }
        "ListProperties" => {
            Ask::ListProperties(ListPropertiesRequest { organisation_id, ..ListPropertiesRequest::default() })
        }
        "GetProperty" => Ask::GetProperty(GetPropertyRequest { property_id }),
        "UpdateProperty" => {
            Ask::UpdateProperty(UpdatePropertyRequest { property: Some(property), update_mask: None })
        }
        "UpdateProperty(retention_days)" => {
            let retention_days = u32::try_from(nth).unwrap() + 1;
            let property = Some(Property { retention_days, ..property });
            Ask::UpdateProperty(UpdatePropertyRequest { property, update_mask: None })
        }
        "RotateApiSecret" => Ask::RotateApiSecret(RotateApiSecretRequest { property_id, overlap_s: Some(0) }),
        "AddAlias" => Ask::AddAlias(AddAliasRequest { alias: Some(alias) }),
        "RemoveAlias" => {
            let add = AddAliasRequest { alias: Some(alias.clone()) };
            world.properties().add_alias(with(ADMIN, add)).await.unwrap();
            Ask::RemoveAlias(RemoveAliasRequest { alias: Some(alias) })
        }
        "ListAliases" => Ask::ListAliases(ListAliasesRequest { property_id }),
        "DeleteProperty" => {
            let property_id = world.property(ADMIN, &id, &organisation_id).await.property_id;
            Ask::DeleteProperty(DeletePropertyRequest { property_id })
        }
        "EraseVisitors" => Ask::EraseVisitors(EraseVisitorsRequest {
            property_id,
            client_ids: vec![id],
            ..EraseVisitorsRequest::default()
        }),
        "ListErasures" => Ask::ListErasures(ListErasuresRequest::default()),
        "GetErasure" => Ask::GetErasure(GetErasureRequest { job: world.erasure(&property_id).await }),
        "RunRetention" => Ask::RunRetention(RunRetentionRequest { dry_run: true }),
        "CreateStream" => Ask::CreateStream(CreateStreamRequest { property_id, name: id }),
        "ListStreams" => Ask::ListStreams(ListStreamsRequest { property_id }),
        "UpdateStream" => {
            let measurement_id = world.stream(ADMIN, &property_id).await;
            Ask::UpdateStream(UpdateStreamRequest { property_id, measurement_id, name: id })
        }
        "DeleteStream" => {
            let measurement_id = world.stream(ADMIN, &property_id).await;
            Ask::DeleteStream(DeleteStreamRequest { property_id, measurement_id })
        }
        "SetRules" => Ask::SetRules(SetRulesRequest {
            property_id,
            rules: format!("session_timeout_s = {}", 60 + nth),
            dry_run: false,
        }),
        "GetRules" => Ask::GetRules(GetRulesRequest { property_id, version: 0 }),
        "CreateOrganisation" => Ask::CreateOrganisation(CreateOrganisationRequest { name: id }),
        "CreateFirstOwner" => Ask::CreateFirstOwner(CreateFirstOwnerRequest {
            organisation_name: id.clone(),
            name: id,
            email: "a@b.example".into(),
        }),
        "GetOrganisation" => Ask::GetOrganisation(GetOrganisationRequest { organisation_id }),
        "ListOrganisations" => Ask::ListOrganisations(ListOrganisationsRequest::default()),
        "UpdateOrganisation" => {
            let organisation = Organisation { organisation_id, name: id, created_at: String::new() };
            Ask::UpdateOrganisation(UpdateOrganisationRequest {
                organisation: Some(organisation),
                update_mask: None,
            })
        }
        "AddMember" => Ask::AddMember(AddMemberRequest {
            organisation_id,
            name: id.clone(),
            email: format!("{id}@b.example"),
            role: "viewer".into(),
        }),
        "UpdateMember" => {
            let member = world.member(ADMIN, &organisation_id, &id, "viewer").await.member.unwrap();
            let member = Member { role: "editor".into(), ..member };
            Ask::UpdateMember(UpdateMemberRequest { member: Some(member), update_mask: None })
        }
        "RemoveMember" => {
            let member_id =
                world.member(ADMIN, &organisation_id, &id, "viewer").await.member.unwrap().member_id;
            Ask::RemoveMember(RemoveMemberRequest { organisation_id, member_id })
        }
        "ListMembers" => {
            Ask::ListMembers(ListMembersRequest { organisation_id, ..ListMembersRequest::default() })
        }
        "ListChanges" => {
            Ask::ListChanges(ListChangesRequest { organisation_id, ..ListChangesRequest::default() })
        }
        "CreateKey" => Ask::CreateKey(of_property),
        "ListKeys" => Ask::ListKeys(ListKeysRequest { organisation_id, ..ListKeysRequest::default() }),
        "RevokeKey" => {
            let key_id = world.report_key(ADMIN, of_property).await.key.unwrap().key_id;
            Ask::RevokeKey(RevokeKeyRequest { key_id })
        }
        "RotateKey" => {
            let key_id = world.report_key(ADMIN, of_property).await.key.unwrap().key_id;
            Ask::RotateKey(RotateKeyRequest { key_id, overlap_s: Some(0) })
        }
        other => panic!("no request for {other}"),
    }
}

pub(super) fn report(property_id: String) -> RunReportRequest {
    RunReportRequest {
        property_id,
        from: "today".into(),
        to: "today".into(),
        metrics: vec!["page_views".into()],
        ..RunReportRequest::default()
    }
}

/// Whether the server lets it be done; everything that may be asked for succeeds but what needs a warehouse, and a first owner where there
/// is one.
async fn is_allowed(world: &World, ask: Ask, caller: &str, key: &str) -> bool {
    let (rpc, said) = (ask.name(), ask.send(world.channel.clone(), key).await);
    let code = said.as_ref().err().map(tonic::Status::code);
    match (rpc, code) {
        (_, None)
        | ("RunReport" | "RunRetention", Some(Code::Unavailable))
        | ("CreateFirstOwner", Some(Code::AlreadyExists)) => true,
        (_, Some(Code::Unauthenticated)) => {
            assert!(["nobody", "unknown", "expired"].contains(&caller), "{rpc} {caller}: {said:?}");
            false
        }
        (_, Some(Code::PermissionDenied)) => {
            assert!(!["nobody", "unknown", "expired"].contains(&caller), "{rpc} {caller}: {said:?}");
            false
        }
        _ => panic!("{rpc} {caller}: {said:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_open_to_whom_the_table_says() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("mine").await, world.tenant("other").await);
    let operators = world.property(ADMIN, "operators", "").await;
    let mut lines = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let callers = lines.next().unwrap()[1..].to_vec();
    let mut rpcs = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut nth = 0;
    for line in lines {
        // A field that takes more stands behind the RPC.
        rpcs.insert(line[0].split('(').next().unwrap());
        assert_eq!(line.len(), callers.len() + 1, "{line:?}");
        for (caller, expected) in callers.iter().zip(&line[1..]) {
            let key = match *caller {
                "nobody" => "",
                "unknown" => "mk_nobody",
                "expired" => tenant.expired.secret.as_str(),
                "admin" => ADMIN,
                "owner" | "editor" | "viewer" => tenant.key(caller),
                "reports" => &tenant.reports.secret,
                "config" => &tenant.config.secret,
                "everywhere" => &tenant.everywhere.secret,
                "other_owner" => other.key("owner"),
                "other_everywhere" => &other.everywhere.secret,
                "operators_reports" => &operators.report_key,
                unknown => panic!("no key for {unknown}"),
            };
            nth += 1;
            let ask = request(&world, &tenant, line[0], nth).await;
            let allowed = if is_allowed(&world, ask, caller, key).await { "yes" } else { "no" };
            if allowed != *expected {
                wrong.push(format!("{} by {caller}: {allowed}, not {expected}", line[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rpcs, Ask::ALL.iter().copied().collect(), "the table has every RPC");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_and_what_is_not_there_are_refused_alike() {
    let world = World::start().await;
    let (mine, other) = (world.tenant("mine").await, world.tenant("other").await);
    let operators = world.property(ADMIN, "operators", "").await;
    let keys = [
        mine.key("owner"),
        mine.key("viewer"),
        &mine.reports.secret,
        &mine.config.secret,
        &mine.everywhere.secret,
        &operators.report_key,
    ];
    for key in keys {
        let said = async |ask: Ask, id: &str| {
            let status = ask.send(world.channel.clone(), key).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
            status.message().replace(id, "ID")
        };
        let (theirs, nobodys) = (other.properties[0].property_id.as_str(), "p_aaaaaaaaaaaa");
        let asks: [fn(String) -> Ask; 4] = [
            |property_id| Ask::GetProperty(GetPropertyRequest { property_id }),
            |property_id| Ask::RunReport(report(property_id)),
            |property_id| Ask::RotateApiSecret(RotateApiSecretRequest { property_id, overlap_s: None }),
            |property_id| Ask::ListAliases(ListAliasesRequest { property_id }),
        ];
        for ask in asks {
            assert_eq!(said(ask(theirs.into()), theirs).await, said(ask(nobodys.into()), nobodys).await);
        }
        let (theirs, nobodys) = (other.organisation_id.as_str(), "o_aaaaaaaaaaaa");
        let asks: [fn(String) -> Ask; 3] = [
            |organisation_id| Ask::GetOrganisation(GetOrganisationRequest { organisation_id }),
            |organisation_id| Ask::ListMembers(ListMembersRequest { organisation_id, ..Default::default() }),
            |organisation_id| Ask::ListKeys(ListKeysRequest { organisation_id, ..Default::default() }),
        ];
        for ask in asks {
            assert_eq!(said(ask(theirs.into()), theirs).await, said(ask(nobodys.into()), nobodys).await);
        }
        let (theirs, nobodys) = (other.reports.key.clone().unwrap().key_id, "k_aaaaaaaaaaaa");
        let ask = |key_id: &str| Ask::RevokeKey(RevokeKeyRequest { key_id: key_id.into() });
        assert_eq!(said(ask(&theirs), &theirs).await, said(ask(nobodys), nobodys).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_key_reaches_what_it_names_and_no_more() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let [first, second] = [0, 1].map(|nth| tenant.properties[nth].property_id.clone());
    let later = world.property(ADMIN, "later", &tenant.organisation_id).await.property_id;
    for (key, property_id, code) in [
        (&tenant.reports.secret, &first, Code::Unavailable),
        (&tenant.reports.secret, &second, Code::PermissionDenied),
        (&tenant.reports.secret, &later, Code::PermissionDenied),
        (&tenant.everywhere.secret, &second, Code::Unavailable),
        (&tenant.everywhere.secret, &later, Code::Unavailable),
    ] {
        let said = Ask::RunReport(report(property_id.clone())).send(world.channel.clone(), key).await;
        assert_eq!(said.unwrap_err().code(), code);
    }
    let listed = async |key: &str| {
        let list = ListPropertiesRequest::default();
        let answer = world.properties().list_properties(with(key, list)).await.unwrap().into_inner();
        answer.properties.into_iter().map(|property| property.property_id).collect::<BTreeSet<_>>()
    };
    assert_eq!(listed(&tenant.config.secret).await, BTreeSet::from([first.clone()]));
    assert_eq!(listed(&tenant.everywhere.secret).await, BTreeSet::from([first, second, later]));
}
