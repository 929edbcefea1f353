//! Hits whose texts lie in somebody else's bytes: how the way of a hit reads and writes `meridian.hit.v1.RawHit`.
//!
//! In: a decompressed block body, or the parts of a request. Out: [`HitView`]s, or the same bytes that prost writes for the
//! message. A hit has some fifteen texts, and a `String` for each is an allocation for each. Invariant: bytes and meaning are those of the `.proto` file (a test compares with prost's both ways).

mod marks;
mod output;

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{self, DecodeContext, WireType};
use proto::hit::{ClientHints, Item, Parameter, RawHit, parameter};

use self::output::{Length, Output, number, text};
use crate::block::{Block, BlockError, BlockHeader};

pub use self::marks::{ForgetView, MarkView, RefusalsView};

/// A [`RawHit`] that borrows its texts; fields as there.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // hit.proto describes each field.
pub struct HitView<'a> {
    pub property_id: &'a str,
    pub rules_version: u32,
    pub event_time_ms: u64,
    pub visitor_id: u64,
    pub previous_visitor_id: Option<u64>,
    pub hit_id: &'a str,
    pub attempt: u32,
    pub client_id: &'a str,
    pub session_id: &'a str,
    pub first_visit: Option<bool>,
    pub event: &'a str,
    pub url: &'a str,
    pub referrer: &'a str,
    pub title: &'a str,
    pub language: &'a str,
    pub screen: &'a str,
    pub engagement_ms: u64,
    pub params: Vec<ParamView<'a>>,
    pub country: &'a str,
    pub truncated_ip: &'a [u8],
    pub user_agent: &'a str,
    pub backdated: bool,
    pub sent_by_server: bool,
    pub items: Vec<ItemView<'a>>,
    pub region: &'a str,
    pub city: &'a str,
    pub network: &'a str,
    pub client_hints: Option<HintsView<'a>>,
    pub prefetch: bool,
}

/// [`ClientHints`] that borrow their texts; fields as there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // hit.proto describes each field.
pub struct HintsView<'a> {
    pub brands: &'a str,
    pub platform: &'a str,
    pub platform_version: &'a str,
    pub mobile: Option<bool>,
}

/// An [`Item`] that borrows its texts; fields as there.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // hit.proto describes each field.
pub struct ItemView<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub brand: &'a str,
    pub category: &'a str,
    pub variant: &'a str,
    pub price: Option<f64>,
    pub quantity: Option<f64>,
    pub params: Vec<ParamView<'a>>,
}

/// An event parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ParamView<'a> {
    /// Name.
    pub key: &'a str,
    /// Value; absent only in bytes that this build did not write.
    pub value: Option<ParamValue<'a>>,
}

/// The value of an event parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamValue<'a> {
    /// A text.
    Text(&'a str),
    /// A finite number.
    Number(f64),
    /// A truth value.
    Flag(bool),
}

/// A block whose body lies decompressed elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockView<'a> {
    /// Number, range and time.
    pub header: BlockHeader,
    /// Hits in WAL order.
    pub hits: Vec<HitView<'a>>,
    /// In force after the hits.
    pub import_marks: Vec<MarkView<'a>>,
    /// What was not taken since the block before.
    pub refusals: Vec<RefusalsView<'a>>,
    /// What is to be forgotten, in force after the hits and import marks.
    pub forgets: Vec<ForgetView<'a>>,
}

/// One field of a message: what it holds by its wire type.
enum Field<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
    /// Of a type that none of these messages has.
    Other,
}

impl<'a> BlockView<'a> {
    /// Reads what [`crate::block::open`] gave.
    ///
    /// # Errors
    /// When the body is not a `BlockBody` (a text that is not UTF-8 included), or not of so many hits.
    pub fn parse(header: BlockHeader, body: &'a [u8]) -> Result<Self, BlockError> {
        let hits = Vec::with_capacity(usize::try_from(header.hits).unwrap_or(0).min(body.len()));
        let (import_marks, refusals, forgets) = (Vec::new(), Vec::new(), Vec::new());
        let mut view = Self { header, hits, import_marks, refusals, forgets };
        view.read(body).map_err(|error| BlockError::Body(header.block, error))?;
        header.check_count(view.hits.len())?;
        Ok(view)
    }

    fn read(&mut self, body: &'a [u8]) -> Result<(), DecodeError> {
        each_field(body, |tag, field| {
            match tag {
                1 => self.hits.push(HitView::parse(field.bytes()?)?),
                2 => self.import_marks.push(MarkView::parse(field.bytes()?)?),
                3 => self.refusals.push(RefusalsView::parse(field.bytes()?)?),
                4 => self.forgets.push(ForgetView::parse(field.bytes()?)?),
                _ => {}
            }
            Ok(())
        })
    }

    /// A view of an owned block.
    pub fn of(block: &'a Block) -> Self {
        Self {
            header: block.header,
            hits: block.body.hits.iter().map(HitView::of).collect(),
            import_marks: block.body.import_marks.iter().map(MarkView::of).collect(),
            refusals: block.body.refusals.iter().map(RefusalsView::of).collect(),
            forgets: block.body.forgets.iter().map(ForgetView::of).collect(),
        }
    }
}

impl<'a> HitView<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut hit = Self::default();
        each_field(bytes, |tag, field| hit.set(tag, field))?;
        Ok(hit)
    }

    fn set(&mut self, tag: u32, field: Field<'a>) -> Result<(), DecodeError> {
        match tag {
            1 => self.property_id = field.text()?,
            2 => self.rules_version = field.small()?,
            3 => self.event_time_ms = field.number()?,
            4 => self.visitor_id = field.fixed()?,
            5 => self.previous_visitor_id = Some(field.fixed()?),
            6 => self.hit_id = field.text()?,
            7 => self.attempt = field.small()?,
            8 => self.client_id = field.text()?,
            9 => self.session_id = field.text()?,
            10 => self.first_visit = Some(field.number()? != 0),
            11 => self.event = field.text()?,
            12 => self.url = field.text()?,
            13 => self.referrer = field.text()?,
            14 => self.title = field.text()?,
            15 => self.language = field.text()?,
            16 => self.screen = field.text()?,
            17 => self.engagement_ms = field.number()?,
            18 => self.params.push(ParamView::parse(field.bytes()?)?),
            19 => self.country = field.text()?,
            20 => self.truncated_ip = field.bytes()?,
            21 => self.user_agent = field.text()?,
            22 => self.backdated = field.number()? != 0,
            23 => self.sent_by_server = field.number()? != 0,
            24 => self.items.push(ItemView::parse(field.bytes()?)?),
            25 => self.region = field.text()?,
            26 => self.city = field.text()?,
            27 => self.network = field.text()?,
            28 => self.client_hints.get_or_insert_default().read(field.bytes()?)?,
            29 => self.prefetch = field.number()? != 0,
            _ => {}
        }
        Ok(())
    }

    /// A view of an owned hit.
    pub fn of(hit: &'a RawHit) -> Self {
        Self {
            property_id: &hit.property_id,
            rules_version: hit.rules_version,
            event_time_ms: hit.event_time_ms,
            visitor_id: hit.visitor_id,
            previous_visitor_id: hit.previous_visitor_id,
            hit_id: &hit.hit_id,
            attempt: hit.attempt,
            client_id: &hit.client_id,
            session_id: &hit.session_id,
            first_visit: hit.first_visit,
            event: &hit.event,
            url: &hit.url,
            referrer: &hit.referrer,
            title: &hit.title,
            language: &hit.language,
            screen: &hit.screen,
            engagement_ms: hit.engagement_ms,
            params: hit.params.iter().map(ParamView::of).collect(),
            country: &hit.country,
            truncated_ip: &hit.truncated_ip,
            user_agent: &hit.user_agent,
            backdated: hit.backdated,
            sent_by_server: hit.sent_by_server,
            items: hit.items.iter().map(ItemView::of).collect(),
            region: &hit.region,
            city: &hit.city,
            network: &hit.network,
            client_hints: hit.client_hints.as_ref().map(HintsView::of),
            prefetch: hit.prefetch,
        }
    }

    /// Appends the hit to an encoded `BlockBody`: tag of field 1, length, message.
    pub fn push_to(&self, body: &mut Vec<u8>) {
        let mut length = Length(0);
        self.write(&mut length);
        encoding::encode_key(1, WireType::LengthDelimited, body);
        encoding::encode_varint(length.0, body);
        self.write(body);
    }

    /// Every field that differs from its default, by number.
    fn write(&self, out: &mut impl Output) {
        text(1, self.property_id, out);
        number(2, self.rules_version.into(), out);
        number(3, self.event_time_ms, out);
        if self.visitor_id != 0 {
            out.fixed(4, self.visitor_id);
        }
        if let Some(visitor_id) = self.previous_visitor_id {
            out.fixed(5, visitor_id);
        }
        text(6, self.hit_id, out);
        number(7, self.attempt.into(), out);
        text(8, self.client_id, out);
        text(9, self.session_id, out);
        if let Some(first_visit) = self.first_visit {
            out.varint(10, first_visit.into());
        }
        text(11, self.event, out);
        text(12, self.url, out);
        text(13, self.referrer, out);
        text(14, self.title, out);
        text(15, self.language, out);
        text(16, self.screen, out);
        number(17, self.engagement_ms, out);
        write_params(18, &self.params, out);
        text(19, self.country, out);
        if !self.truncated_ip.is_empty() {
            out.bytes(20, self.truncated_ip);
        }
        text(21, self.user_agent, out);
        number(22, self.backdated.into(), out);
        number(23, self.sent_by_server.into(), out);
        for item in &self.items {
            let mut length = Length(0);
            item.write(&mut length);
            out.begin(24, length.0);
            item.write(out);
        }
        text(25, self.region, out);
        text(26, self.city, out);
        text(27, self.network, out);
        if let Some(hints) = &self.client_hints {
            let mut length = Length(0);
            hints.write(&mut length);
            out.begin(28, length.0);
            hints.write(out);
        }
        number(29, self.prefetch.into(), out);
    }
}

impl<'a> ParamView<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut param = Self::default();
        each_field(bytes, |tag, field| {
            match tag {
                1 => param.key = field.text()?,
                2 => param.value = Some(ParamValue::Text(field.text()?)),
                3 => param.value = Some(ParamValue::Number(f64::from_bits(field.fixed()?))),
                4 => param.value = Some(ParamValue::Flag(field.number()? != 0)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(param)
    }

    /// A view of an owned parameter.
    pub fn of(param: &'a Parameter) -> Self {
        let value = param.value.as_ref().map(|value| match value {
            parameter::Value::Text(text) => ParamValue::Text(text),
            parameter::Value::Number(number) => ParamValue::Number(*number),
            parameter::Value::Flag(flag) => ParamValue::Flag(*flag),
        });
        Self { key: &param.key, value }
    }

    fn write(&self, out: &mut impl Output) {
        text(1, self.key, out);
        match self.value {
            Some(ParamValue::Text(text)) => out.bytes(2, text.as_bytes()),
            Some(ParamValue::Number(number)) => out.fixed(3, number.to_bits()),
            Some(ParamValue::Flag(flag)) => out.varint(4, flag.into()),
            None => {}
        }
    }
}

fn write_params(tag: u32, params: &[ParamView<'_>], out: &mut impl Output) {
    for param in params {
        let mut length = Length(0);
        param.write(&mut length);
        out.begin(tag, length.0);
        param.write(out);
    }
}

impl<'a> ItemView<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut item = Self::default();
        each_field(bytes, |tag, field| {
            match tag {
                1 => item.id = field.text()?,
                2 => item.name = field.text()?,
                3 => item.brand = field.text()?,
                4 => item.category = field.text()?,
                5 => item.variant = field.text()?,
                6 => item.price = Some(f64::from_bits(field.fixed()?)),
                7 => item.quantity = Some(f64::from_bits(field.fixed()?)),
                8 => item.params.push(ParamView::parse(field.bytes()?)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(item)
    }

    /// A view of an owned item.
    pub fn of(item: &'a Item) -> Self {
        Self {
            id: &item.id,
            name: &item.name,
            brand: &item.brand,
            category: &item.category,
            variant: &item.variant,
            price: item.price,
            quantity: item.quantity,
            params: item.params.iter().map(ParamView::of).collect(),
        }
    }

    fn write(&self, out: &mut impl Output) {
        text(1, self.id, out);
        text(2, self.name, out);
        text(3, self.brand, out);
        text(4, self.category, out);
        text(5, self.variant, out);
        if let Some(price) = self.price {
            out.fixed(6, price.to_bits());
        }
        if let Some(quantity) = self.quantity {
            out.fixed(7, quantity.to_bits());
        }
        write_params(8, &self.params, out);
    }
}

impl<'a> HintsView<'a> {
    /// Reads a message into it: one that comes twice is merged, as protobuf says.
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), DecodeError> {
        each_field(bytes, |tag, field| {
            match tag {
                1 => self.brands = field.text()?,
                2 => self.platform = field.text()?,
                3 => self.platform_version = field.text()?,
                5 => self.mobile = Some(field.number()? != 0),
                _ => {}
            }
            Ok(())
        })
    }

    /// A view of owned hints.
    pub fn of(hints: &'a ClientHints) -> Self {
        Self {
            brands: &hints.brands,
            platform: &hints.platform,
            platform_version: &hints.platform_version,
            mobile: hints.mobile,
        }
    }

    /// Hints that outlive what they were read from.
    pub fn to_message(self) -> ClientHints {
        ClientHints {
            brands: self.brands.to_owned(),
            platform: self.platform.to_owned(),
            platform_version: self.platform_version.to_owned(),
            mobile: self.mobile,
        }
    }

    fn write(&self, out: &mut impl Output) {
        text(1, self.brands, out);
        text(2, self.platform, out);
        text(3, self.platform_version, out);
        if let Some(mobile) = self.mobile {
            out.varint(5, mobile.into());
        }
    }
}

impl<'a> Field<'a> {
    fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong("length-delimited field")),
        }
    }

    fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| wrong("text"))
    }

    fn number(self) -> Result<u64, DecodeError> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(wrong("varint field")),
        }
    }

    /// A `uint32`: protobuf takes its lower half from a longer varint.
    fn small(self) -> Result<u32, DecodeError> {
        let number = self.number()? & u64::from(u32::MAX);
        u32::try_from(number).map_err(|_| wrong("varint field"))
    }

    fn fixed(self) -> Result<u64, DecodeError> {
        match self {
            Self::Fixed(number) => Ok(number),
            _ => Err(wrong("64-bit field")),
        }
    }

    /// Of a `repeated fixed64`: packed, or one of them.
    fn fixed_into(self, numbers: &mut Vec<u64>) -> Result<(), DecodeError> {
        let Self::Bytes(bytes) = self else {
            numbers.push(self.fixed()?);
            return Ok(());
        };
        let (packed, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(wrong("packed 64-bit field"));
        }
        numbers.extend(packed.iter().map(|number| u64::from_le_bytes(*number)));
        Ok(())
    }
}

/// Calls `take` with each field of a message; fields that this build does not know are passed over.
fn each_field<'a>(
    mut rest: &'a [u8],
    mut take: impl FnMut(u32, Field<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    while !rest.is_empty() {
        let (tag, wire_type) = encoding::decode_key(&mut rest)?;
        let field = match wire_type {
            WireType::Varint => Field::Number(encoding::decode_varint(&mut rest)?),
            WireType::SixtyFourBit => Field::Fixed(rest.try_get_u64_le().map_err(|_| wrong("64-bit field"))?),
            WireType::LengthDelimited => {
                let length = encoding::decode_varint(&mut rest)?;
                let bytes = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
                let (bytes, after) = bytes.ok_or_else(|| wrong("length"))?;
                rest = after;
                Field::Bytes(bytes)
            }
            _ => {
                encoding::skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
                Field::Other
            }
        };
        take(tag, field)?;
    }
    Ok(())
}

/// prost has no public constructor with a message of one's own for this.
fn wrong(what: &'static str) -> DecodeError {
    #[allow(deprecated)]
    DecodeError::new(what)
}

#[cfg(test)]
mod tests;
