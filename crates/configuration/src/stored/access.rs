//! Records of who may do what: organisations, their members, keys.
//!
//! In: checked values. Out: records, and back with every field checked again. Nothing of this goes to edges. Invariants: a key stands in
//! four records that are written together ([`put_key`], [`delete_key`]): by its hash, by its id, among those of its organisation and, if
//! it is a member's, in the member.

use property::{ApiSecret, KeyHash};
use prost::Message as _;
use proto::config as wire;

use super::{ReadError, StoredError, decode, wrong};
use crate::replica::Records;

/// `organisation/o_…`: [`wire::StoredOrganisation`].
pub const ORGANISATION: &str = "organisation/";
/// `member/o_…/u_…`: [`wire::StoredMember`].
pub const MEMBER: &str = "member/";
/// `key/HASH`: [`wire::StoredKey`].
pub const KEY: &str = "key/";
/// `key_id/k_…`: [`wire::StoredKeyName`].
pub const KEY_ID: &str = "key_id/";
/// `key_of/o_…/k_…`: empty; finds the keys of an organisation.
pub const KEY_OF: &str = "key_of/";
/// `audit/o_…/VERSION/N`: [`wire::StoredAudit`].
pub const AUDIT: &str = "audit/";
/// `o_…/u_…` of the first owner that there was. No organisation loses its last owner, so it is there if there is any owner.
pub const FIRST_OWNER: &str = "first_owner";

/// What a member may do: each what those before it may, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads reports and configuration.
    Viewer,
    /// Changes properties, rules and aliases.
    Editor,
    /// Changes members, keys and the organisation, and reads the audit.
    Owner,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// As callers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    fn stored(self) -> wire::StoredRole {
        match self {
            Self::Viewer => wire::StoredRole::RoleViewer,
            Self::Editor => wire::StoredRole::RoleEditor,
            Self::Owner => wire::StoredRole::RoleOwner,
        }
    }
}

/// What a report key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read reports.
    Reports,
    /// Read properties, rules and aliases.
    ConfigRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Reports, Self::ConfigRead];

    /// As callers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::ConfigRead => "config.read",
        }
    }

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// Who properties belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// `o_…`
    pub organisation_id: String,
    /// Display name.
    pub name: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// A person of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `o_…`
    pub organisation_id: String,
    /// `u_…`
    pub member_id: String,
    /// Display name.
    pub name: String,
    /// Where the person is reached.
    pub email: String,
    /// What the person may do.
    pub role: Role,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// The person's keys.
    pub keys: Vec<ApiSecret>,
}

/// What a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `k_…`
    pub key_id: String,
    /// `o_…`; empty: the operator's.
    pub organisation_id: String,
    /// Display name.
    pub name: String,
    /// Whose it is.
    pub holder: Holder,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds from which on it is refused; 0: never.
    pub expires_at_ms: u64,
}

impl Key {
    /// Whether it is refused.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms != 0 && self.expires_at_ms <= now_ms
    }
}

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A member: `u_…`.
    Member(String),
    /// Whoever reads reports.
    Reports {
        /// What it may do; never empty.
        scopes: Vec<Scope>,
        /// Where.
        reach: Reach,
    },
}

/// The properties that a report key reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every one of the organisation, also later ones.
    All,
    /// These.
    These(Vec<String>),
}

/// Key of an organisation.
pub fn organisation_key(organisation_id: &str) -> String {
    format!("{ORGANISATION}{organisation_id}")
}

/// Key of a member.
pub fn member_key(organisation_id: &str, member_id: &str) -> String {
    format!("{MEMBER}{organisation_id}/{member_id}")
}

/// Key of a key.
pub fn key_key(hash: &KeyHash) -> String {
    format!("{KEY}{hash}")
}

/// Key under which a key's hash is found.
pub fn key_id_key(key_id: &str) -> String {
    format!("{KEY_ID}{key_id}")
}

/// Key under which an organisation's key is found.
pub fn key_of_key(organisation_id: &str, key_id: &str) -> String {
    format!("{KEY_OF}{organisation_id}/{key_id}")
}

/// Key under which an organisation's change is found: the `nth` of a version. Digits enough that keys sort as changes do.
pub fn audit_key(organisation_id: &str, version: u64, nth: usize) -> String {
    format!("{AUDIT}{organisation_id}/{version:020}/{nth:04}")
}

/// Value of an organisation.
pub fn organisation_value(organisation: &Organisation) -> Vec<u8> {
    let Organisation { organisation_id, name, created_at_ms } = organisation.clone();
    wire::StoredOrganisation { organisation_id, name, created_at_ms }.encode_to_vec()
}

/// Value of a member.
pub fn member_value(member: &Member) -> Vec<u8> {
    let Member { organisation_id, member_id, name, email, role, created_at_ms, keys } = member.clone();
    let secret = |secret: ApiSecret| wire::StoredSecret {
        sha256: secret.hash.bytes().to_vec(),
        expires_at_ms: secret.expires_at_ms,
    };
    wire::StoredMember {
        organisation_id,
        member_id,
        name,
        email,
        role: role.stored().into(),
        created_at_ms,
        keys: keys.into_iter().map(secret).collect(),
    }
    .encode_to_vec()
}

/// Value of a key.
pub fn key_value(key: &Key) -> Vec<u8> {
    let Key { key_id, organisation_id, name, holder, created_at_ms, expires_at_ms } = key.clone();
    let mut stored = wire::StoredKey {
        key_id,
        organisation_id,
        name,
        created_at_ms,
        expires_at_ms,
        ..wire::StoredKey::default()
    };
    match holder {
        Holder::Member(member_id) => stored.member_id = member_id,
        Holder::Reports { scopes, reach } => {
            stored.scopes = scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect();
            match reach {
                Reach::All => stored.all_properties = true,
                Reach::These(property_ids) => stored.property_ids = property_ids,
            }
        }
    }
    stored.encode_to_vec()
}

/// An organisation; `None`: there is none of this id.
///
/// # Errors
/// When the record cannot be read.
pub fn organisation(records: &dyn Records, organisation_id: &str) -> Result<Option<Organisation>, ReadError> {
    let key = organisation_key(organisation_id);
    let value = records.get(&key)?;
    Ok(value.map(|value| read_organisation(&key, &value)).transpose()?)
}

/// An organisation as it is stored.
///
/// # Errors
/// When it cannot be read.
pub fn read_organisation(key: &str, value: &[u8]) -> Result<Organisation, StoredError> {
    let wire::StoredOrganisation { organisation_id, name, created_at_ms } = decode(key, value)?;
    if key != organisation_key(&organisation_id) {
        return Err(wrong(key, "it is that of another organisation"));
    }
    Ok(Organisation { organisation_id, name, created_at_ms })
}

/// A member; `None`: the organisation has none of this id.
///
/// # Errors
/// When the record cannot be read.
pub fn member(
    records: &dyn Records,
    organisation_id: &str,
    member_id: &str,
) -> Result<Option<Member>, ReadError> {
    let key = member_key(organisation_id, member_id);
    let value = records.get(&key)?;
    Ok(value.map(|value| read_member(&key, &value)).transpose()?)
}

/// All members of an organisation, by id.
///
/// # Errors
/// When a record cannot be read.
pub fn members(records: &dyn Records, organisation_id: &str) -> Result<Vec<Member>, ReadError> {
    let mut members = Ok(Vec::new());
    records.for_each(&format!("{MEMBER}{organisation_id}/"), &mut |key, value| {
        if let Ok(all) = &mut members {
            match read_member(key, value) {
                Ok(member) => all.push(member),
                Err(error) => members = Err(error),
            }
        }
    })?;
    Ok(members?)
}

/// A member as it is stored.
///
/// # Errors
/// When it cannot be read.
pub fn read_member(key: &str, value: &[u8]) -> Result<Member, StoredError> {
    let stored: wire::StoredMember = decode(key, value)?;
    let role = match stored.role() {
        wire::StoredRole::RoleUnspecified => return Err(wrong(key, "it has no role that this build knows")),
        wire::StoredRole::RoleViewer => Role::Viewer,
        wire::StoredRole::RoleEditor => Role::Editor,
        wire::StoredRole::RoleOwner => Role::Owner,
    };
    let secret = |secret: wire::StoredSecret| {
        let hash = read_hash(key, &secret.sha256)?;
        Ok(ApiSecret { hash, expires_at_ms: secret.expires_at_ms })
    };
    let wire::StoredMember { organisation_id, member_id, name, email, role: _, created_at_ms, keys } = stored;
    if key != member_key(&organisation_id, &member_id) {
        return Err(wrong(key, "it is that of another member"));
    }
    let keys = keys.into_iter().map(secret).collect::<Result<_, StoredError>>()?;
    Ok(Member { organisation_id, member_id, name, email, role, created_at_ms, keys })
}

/// What the key with this hash is; `None`: nobody has it.
///
/// # Errors
/// When the record cannot be read.
pub fn key(records: &dyn Records, hash: &KeyHash) -> Result<Option<Key>, ReadError> {
    let key = key_key(hash);
    let value = records.get(&key)?;
    Ok(value.map(|value| read_key(&key, &value)).transpose()?)
}

/// A key by what it is called, with its hash.
///
/// # Errors
/// When a record cannot be read.
pub fn key_by_id(records: &dyn Records, key_id: &str) -> Result<Option<(KeyHash, Key)>, ReadError> {
    let name = key_id_key(key_id);
    let Some(value) = records.get(&name)? else { return Ok(None) };
    let wire::StoredKeyName { sha256 } = decode(&name, &value)?;
    let hash = read_hash(&name, &sha256)?;
    Ok(key(records, &hash)?.map(|key| (hash, key)))
}

/// A key as it is stored. A scope that this build does not know is none: it opens nothing here.
///
/// # Errors
/// When it cannot be read.
pub fn read_key(key: &str, value: &[u8]) -> Result<Key, StoredError> {
    let stored: wire::StoredKey = decode(key, value)?;
    let scopes = stored.scopes.iter().filter_map(|name| Scope::from_name(name)).collect();
    let holder = match (stored.member_id.is_empty(), stored.all_properties) {
        (false, _) => Holder::Member(stored.member_id),
        (true, true) => Holder::Reports { scopes, reach: Reach::All },
        (true, false) => Holder::Reports { scopes, reach: Reach::These(stored.property_ids) },
    };
    Ok(Key {
        key_id: stored.key_id,
        organisation_id: stored.organisation_id,
        name: stored.name,
        holder,
        created_at_ms: stored.created_at_ms,
        expires_at_ms: stored.expires_at_ms,
    })
}

/// What is written for a key; `member` is its member, as it is without the key or with the key as it was.
pub fn put_key(key: &Key, hash: KeyHash, member: Option<Member>) -> Vec<(String, Vec<u8>)> {
    let name = wire::StoredKeyName { sha256: hash.bytes().to_vec() }.encode_to_vec();
    let mut writes = vec![
        (key_key(&hash), key_value(key)),
        (key_id_key(&key.key_id), name),
        (key_of_key(&key.organisation_id, &key.key_id), Vec::new()),
    ];
    if let Some(mut member) = member {
        let secret = ApiSecret { hash, expires_at_ms: key.expires_at_ms };
        match member.keys.iter_mut().find(|known| known.hash == hash) {
            Some(known) => *known = secret,
            None => member.keys.push(secret),
        }
        writes.push((member_key(&member.organisation_id, &member.member_id), member_value(&member)));
    }
    writes
}

/// What is deleted with a key, beside its entry in the member.
pub fn delete_key(key: &Key, hash: &KeyHash) -> [String; 3] {
    [key_key(hash), key_id_key(&key.key_id), key_of_key(&key.organisation_id, &key.key_id)]
}

fn read_hash(key: &str, sha256: &[u8]) -> Result<KeyHash, StoredError> {
    let bytes: [u8; 32] =
        sha256.try_into().map_err(|_| wrong(key, "a secret's hash is not 32 bytes long"))?;
    Ok(KeyHash::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member_of(role: Role) -> Member {
        Member {
            organisation_id: "o_a".into(),
            member_id: "u_a".into(),
            name: "Ünï".into(),
            email: "u@a.example".into(),
            role,
            created_at_ms: 5,
            keys: vec![ApiSecret { hash: KeyHash::of("mk_1"), expires_at_ms: 9 }],
        }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        for role in Role::ALL {
            let member = member_of(role);
            assert_eq!(read_member("member/o_a/u_a", &member_value(&member)).unwrap(), member);
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        for holder in [
            Holder::Member("u_a".into()),
            Holder::Reports { scopes: Scope::ALL.to_vec(), reach: Reach::All },
            Holder::Reports { scopes: vec![Scope::Reports], reach: Reach::These(vec!["p_a".into()]) },
        ] {
            let key = Key {
                key_id: "k_a".into(),
                organisation_id: "o_a".into(),
                name: "n".into(),
                holder,
                created_at_ms: 1,
                expires_at_ms: 0,
            };
            assert_eq!(read_key("key/…", &key_value(&key)).unwrap(), key);
        }
    }

    #[test]
    fn records_of_others_and_without_a_role_are_refused() {
        let member = member_of(Role::Owner);
        assert!(read_member("member/o_b/u_a", &member_value(&member)).is_err());
        let none = wire::StoredMember {
            organisation_id: "o_a".into(),
            member_id: "u_a".into(),
            role: 9,
            ..wire::StoredMember::default()
        };
        let error = read_member("member/o_a/u_a", &none.encode_to_vec()).unwrap_err();
        assert!(error.to_string().contains("no role"), "{error}");
        let organisation = Organisation { organisation_id: "o_a".into(), name: "A".into(), created_at_ms: 1 };
        let value = organisation_value(&organisation);
        assert_eq!(read_organisation("organisation/o_a", &value).unwrap(), organisation);
        assert!(read_organisation("organisation/o_b", &value).is_err());
    }

    #[test]
    fn a_key_expires_at_its_time() {
        let key = |expires_at_ms| Key {
            key_id: String::new(),
            organisation_id: String::new(),
            name: String::new(),
            holder: Holder::Member(String::new()),
            created_at_ms: 0,
            expires_at_ms,
        };
        assert!(!key(0).is_expired(u64::MAX) && !key(10).is_expired(9) && key(10).is_expired(10));
    }

    #[test]
    fn a_changed_key_stands_once_in_its_member() {
        let hash = KeyHash::of("mk_1");
        let key = Key {
            key_id: "k_a".into(),
            organisation_id: "o_a".into(),
            name: "n".into(),
            holder: Holder::Member("u_a".into()),
            created_at_ms: 1,
            expires_at_ms: 77,
        };
        let writes = put_key(&key, hash, Some(member_of(Role::Viewer)));
        let (of, value) = writes.last().unwrap();
        let member = read_member(of, value).unwrap();
        assert_eq!(member.keys, [ApiSecret { hash, expires_at_ms: 77 }]);
        assert_eq!(writes.len(), 4);
    }

    #[test]
    fn audit_keys_sort_as_changes_do() {
        let keys = [(9, 2), (10, 0), (10, 10), (u64::MAX, 0)].map(|(v, n)| audit_key("o_a", v, n));
        assert!(keys.is_sorted());
    }
}
