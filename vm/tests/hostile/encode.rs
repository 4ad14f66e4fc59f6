//! Modules as bytes, for those that no assembler would write.

/// An unsigned number in as few bytes as it needs.
pub fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A section: its id, the length of its content, the content.
pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    bytes.extend(number(content.len() as u32));
    bytes.extend_from_slice(content);
    bytes
}

/// A module of sections that are encoded already.
pub fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for section in sections {
        bytes.extend_from_slice(section);
    }
    bytes
}

/// A list: how many, then each.
pub fn list(count: u32, items: &[u8]) -> Vec<u8> {
    let mut bytes = number(count);
    bytes.extend_from_slice(items);
    bytes
}

/// A program whose `_start` has this body, locals first; `end` is added.
pub fn program(body: &[u8]) -> Vec<u8> {
    let mut sized = number(body.len() as u32 + 1);
    sized.extend_from_slice(body);
    sized.push(0x0b);
    module(&[
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[1, 0]),
        section(7, b"\x01\x06_start\0\0"),
        section(10, &list(1, &sized)),
    ])
}
