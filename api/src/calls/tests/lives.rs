//! Keys and members from their making to their end: expiry, overlap, the last owner, pages.

use std::collections::BTreeSet;

use configuration::stored;
use proto::config::*;
use tonic::Code;

use super::ask::Ask;
use super::world::{ADMIN, World, with};

const DAY_MS: u64 = 86_400_000;

async fn code(world: &World, key: &str) -> Code {
    let ask = Ask::ListOrganisations(ListOrganisationsRequest::default());
    ask.send(world.channel.clone(), key).await.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_is_accepted_until_the_overlap_ends() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let (owner, editor) = (tenant.key("owner"), tenant.key("editor"));
    let list = ListKeysRequest::default();
    let keys = world.keys().list_keys(with(owner, list)).await.unwrap().into_inner().keys;
    let of_editor = keys.iter().find(|key| key.member_id == tenant.member_id("editor")).unwrap();
    let key_id = of_editor.key_id.clone();
    // A day, if nobody says otherwise.
    let rotate = RotateKeyRequest { key_id, overlap_s: None };
    let first = world.keys().rotate_key(with(owner, rotate.clone())).await.unwrap().into_inner();
    assert!(first.secret.starts_with("mk_") && first.secret != *editor);
    world.clock.advance_ms(DAY_MS - 1);
    assert_eq!((code(&world, editor).await, code(&world, &first.secret).await), (Code::Ok, Code::Ok));
    world.clock.advance_ms(1);
    assert_eq!(code(&world, editor).await, Code::Unauthenticated);
    assert_eq!(code(&world, &first.secret).await, Code::Ok);
    let refused = world.keys().rotate_key(with(owner, rotate)).await.unwrap_err();
    assert!(refused.message().contains("has expired"), "{refused}");
    // At once.
    let rotate = RotateKeyRequest { key_id: first.key.unwrap().key_id, overlap_s: Some(0) };
    let second = world.keys().rotate_key(with(owner, rotate)).await.unwrap().into_inner();
    assert_eq!(code(&world, &first.secret).await, Code::Unauthenticated);
    assert_eq!(code(&world, &second.secret).await, Code::Ok);
    let key = second.key.unwrap();
    let revoke = RevokeKeyRequest { key_id: key.key_id.clone() };
    world.keys().revoke_key(with(owner, revoke.clone())).await.unwrap();
    assert_eq!(code(&world, &second.secret).await, Code::Unauthenticated);
    assert_eq!(world.keys().revoke_key(with(ADMIN, revoke)).await.unwrap_err().code(), Code::NotFound);
    let too_long = RotateKeyRequest { key_id: key.key_id, overlap_s: Some(2_592_001) };
    assert_eq!(
        world.keys().rotate_key(with(owner, too_long)).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_at_its_time_and_not_before() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let owner = tenant.key("owner");
    let ends_ms = i64::try_from(world.now_ms() + 5_000).unwrap();
    let request = CreateKeyRequest {
        member_id: tenant.member_id("viewer"),
        expires_at: jiff::Timestamp::from_millisecond(ends_ms).unwrap().to_string(),
        ..CreateKeyRequest::default()
    };
    let key = world.report_key(owner, request.clone()).await.secret;
    world.clock.advance_ms(4_999);
    assert_eq!(code(&world, &key).await, Code::Ok);
    world.clock.advance_ms(1);
    assert_eq!(code(&world, &key).await, Code::Unauthenticated);
    let again = CreateKeyRequest { name: "late".into(), ..request };
    let refused = world.keys().create_key(with(owner, again)).await.unwrap_err();
    assert!(refused.message().contains("expires_at") && refused.message().contains("is over"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_api_secret_is_accepted_until_the_overlap_ends() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let (owner, made) = (tenant.key("owner"), &tenant.properties[0]);
    let property_id = made.property_id.clone();
    let rotate = async |overlap_s| {
        let request = RotateApiSecretRequest { property_id: property_id.clone(), overlap_s };
        world.properties().rotate_api_secret(with(owner, request)).await
    };
    // What edges do with a secret that comes.
    let accepts = |secret: &str| {
        let reader = world.running.history.read().unwrap();
        let named = stored::property(&reader, &property_id).unwrap().unwrap();
        named.property.accepts_api_secret(secret, world.now_ms())
    };
    let second = rotate(None).await.unwrap().into_inner().api_secret;
    assert!(accepts(&made.api_secret) && accepts(&second));
    world.clock.advance_ms(DAY_MS - 1);
    assert!(accepts(&made.api_secret));
    world.clock.advance_ms(1);
    assert!(!accepts(&made.api_secret) && accepts(&second));
    let third = rotate(Some(0)).await.unwrap().into_inner().api_secret;
    assert!(!accepts(&second) && accepts(&third));
    for _ in 0..9 {
        rotate(Some(60)).await.unwrap();
    }
    let refused = rotate(Some(60)).await.unwrap_err();
    assert!(refused.message().contains("10 secrets"), "{refused}");
    assert!(accepts(&third), "what is refused ends nothing");
    rotate(Some(0)).await.unwrap();
    assert!(!accepts(&third));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays_and_a_removed_member_has_no_key() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let organisation_id = tenant.organisation_id.clone();
    let owner = tenant.key("owner");
    let remove =
        |member_id: String| RemoveMemberRequest { organisation_id: organisation_id.clone(), member_id };
    let with_role = |member_id: String, role: &str| UpdateMemberRequest {
        member: Some(Member { member_id, role: role.into(), ..Member::default() }),
        update_mask: None,
    };
    let last = tenant.member_id("owner");
    for key in [owner, ADMIN] {
        let refused = world.organisations().remove_member(with(key, remove(last.clone()))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("last owner"), "{refused}");
    }
    let refused = world.organisations().update_member(with(owner, with_role(last.clone(), "editor"))).await;
    assert!(refused.unwrap_err().message().contains("last owner"));
    // With another owner the first may go, and the role holds at once.
    let editor = tenant.member_id("editor");
    world.organisations().update_member(with(owner, with_role(editor.clone(), "owner"))).await.unwrap();
    let second = tenant.key("editor");
    let more = CreateKeyRequest { member_id: last.clone(), ..CreateKeyRequest::default() };
    let more = world.report_key(second, more).await.secret;
    assert_eq!((code(&world, owner).await, code(&world, &more).await), (Code::Ok, Code::Ok));
    world.organisations().remove_member(with(second, remove(last.clone()))).await.unwrap();
    assert_eq!(
        (code(&world, owner).await, code(&world, &more).await),
        (Code::Unauthenticated, Code::Unauthenticated)
    );
    assert!(!world.records().keys().any(|key| key.contains(&last) && key.starts_with("member/")));
    let list = ListKeysRequest::default();
    let keys = world.keys().list_keys(with(second, list)).await.unwrap().into_inner().keys;
    assert!(keys.iter().all(|key| key.member_id != last), "{keys:?}");
    let refused = world.organisations().remove_member(with(second, remove(editor))).await.unwrap_err();
    assert!(refused.message().contains("last owner"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owner_is_made_once() {
    let world = World::start().await;
    let request = CreateFirstOwnerRequest {
        organisation_name: "Shops".into(),
        name: "Ada".into(),
        email: "ada@shops.example".into(),
    };
    let bad = CreateFirstOwnerRequest { email: "ada".into(), ..request.clone() };
    let refused = world.organisations().create_first_owner(with(ADMIN, bad)).await.unwrap_err();
    assert!(refused.message().starts_with("email is \"ada\""), "{refused}");
    let made =
        world.organisations().create_first_owner(with(ADMIN, request.clone())).await.unwrap().into_inner();
    assert_eq!(made.member.unwrap().role, "owner");
    assert_eq!(code(&world, &made.key).await, Code::Ok);
    let refused = world.organisations().create_first_owner(with(ADMIN, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains("meridian member add --role owner"), "{refused}");
    let created = CreateOrganisationRequest { name: "Second".into() };
    let refused = world.organisations().create_organisation(with(&made.key, created)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("takes the admin key"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_one_members() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let add = |email: &str| AddMemberRequest {
        name: "B".into(),
        email: email.into(),
        role: "viewer".into(),
        organisation_id: String::new(),
    };
    let owner = tenant.key("owner");
    for (email, code) in [
        ("b@x.example", Code::Ok),
        ("B@X.example", Code::AlreadyExists),
        ("b x@x.example", Code::InvalidArgument),
        ("@x.example", Code::InvalidArgument),
        ("b@x@y", Code::InvalidArgument),
        ("", Code::InvalidArgument),
    ] {
        let said = world.organisations().add_member(with(owner, add(email))).await;
        assert_eq!(said.err().map_or(Code::Ok, |status| status.code()), code, "{email:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_put_together_are_the_list() {
    let world = World::start().await;
    let (tenant, _other) = (world.tenant("mine").await, world.tenant("other").await);
    let owner = tenant.key("owner");
    let mut made: BTreeSet<String> =
        tenant.properties.iter().map(|property| property.property_id.clone()).collect();
    for nth in 0..5 {
        made.insert(world.property(owner, &format!("site {nth}"), "").await.property_id);
    }
    for page_size in [1, 2, 3, 7, 8] {
        let (mut found, mut pages, mut page_token) = (Vec::new(), 0, String::new());
        loop {
            let request = ListPropertiesRequest { page_size, page_token, ..ListPropertiesRequest::default() };
            let page = world.properties().list_properties(with(owner, request)).await.unwrap().into_inner();
            assert!(page.properties.len() <= usize::try_from(page_size).unwrap());
            found.extend(page.properties.into_iter().map(|property| property.property_id));
            pages += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, made.iter().cloned().collect::<Vec<_>>(), "pages of {page_size}");
        assert_eq!(pages, 7_u32.div_ceil(page_size));
    }
    let too_many = ListPropertiesRequest { page_size: 1_001, ..ListPropertiesRequest::default() };
    assert_eq!(
        world.properties().list_properties(with(owner, too_many)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_zone_or_currency_is_another_version_of_the_rules() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let (editor, property_id) = (tenant.key("editor"), tenant.properties[0].property_id.clone());
    let update = |property: Property, paths: &[&str]| UpdatePropertyRequest {
        property: Some(Property { property_id: property_id.clone(), ..property }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    let zone = Property { time_zone: "Asia/Kathmandu".into(), ..Property::default() };
    let updated =
        world.properties().update_property(with(editor, update(zone, &["time_zone"]))).await.unwrap();
    assert_eq!(updated.into_inner().time_zone, "Asia/Kathmandu");
    let name = Property { name: "New".into(), ..Property::default() };
    world.properties().update_property(with(editor, update(name, &["name"]))).await.unwrap();
    let get = GetRulesRequest { property_id: property_id.clone(), version: 1 };
    let rules = world.properties().get_rules(with(editor, get)).await.unwrap().into_inner();
    assert_eq!(rules.current_version, 2, "a name is no rule");
    assert!(rules.rules.contains("time_zone = \"UTC\""), "{}", rules.rules);
    let unknown = update(Property::default(), &["measurement_id"]);
    let refused = world.properties().update_property(with(editor, unknown)).await.unwrap_err();
    assert!(refused.message().starts_with("update_mask is \"measurement_id\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_chosen_with_a_new_property_and_changed_by_owners_only() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let (owner, editor) = (tenant.key("owner"), tenant.key("editor"));
    let days = async |property_id: &str| {
        let get = GetPropertyRequest { property_id: property_id.into() };
        world.properties().get_property(with(editor, get)).await.unwrap().into_inner().retention_days
    };
    for (asked, kept) in [(None, 400), (Some(0), 0), (Some(30), 30)] {
        let new = CreatePropertyRequest {
            name: "New".into(),
            retention_days: asked,
            ..CreatePropertyRequest::default()
        };
        let made = world.properties().create_property(with(editor, new)).await.unwrap().into_inner();
        assert_eq!(days(&made.property_id).await, kept, "{asked:?}; the operator chose 400");
    }
    let property_id = tenant.properties[0].property_id.clone();
    let update = |retention_days, paths: &[&str]| UpdatePropertyRequest {
        property: Some(Property {
            property_id: property_id.clone(),
            name: "Renamed".into(),
            retention_days,
            ..Property::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    let refused =
        world.properties().update_property(with(editor, update(7, &["name", "retention_days"]))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().starts_with("retention_days is \"7\", "), "{refused}");
    // The same value again destroys nothing.
    world.properties().update_property(with(editor, update(400, &["name", "retention_days"]))).await.unwrap();
    let too_long = world.properties().update_property(with(owner, update(3_651, &["retention_days"]))).await;
    let too_long = too_long.unwrap_err();
    assert_eq!(too_long.code(), Code::InvalidArgument);
    assert!(
        too_long.message().starts_with("retention_days is \"3651\", ") && too_long.message().contains("3650"),
        "{too_long}"
    );
    world.properties().update_property(with(owner, update(7, &["retention_days"]))).await.unwrap();
    assert_eq!(days(&property_id).await, 7);
    world.properties().update_property(with(owner, update(0, &["retention_days"]))).await.unwrap();
    assert_eq!(days(&property_id).await, 0);
}
